"""What happened in a call, in one plain sentence, and what to do about it. Pure."""

from collections.abc import Sequence

from callwright.callflow.outcome import CallStatus, HungUpBy
from callwright.callflow.summary import LegSummary, SessionSummary
from callwright.errors import ErrorCode
from callwright.storage.records import DeliveryState, StoredDelivery
from callwright.telemetry.trace import TraceEntry

POOR_MOS = 3.6
"""Below this listeners complain (contract §5.3: 3.6-4.0 is Fair)."""

_ERRORS: dict[ErrorCode, tuple[str, str]] = {
    ErrorCode.INTERNAL: (
        "callwright could not finish the call",
        "The server's log says more. A call that was cut off is never dialled again by itself; post it again.",
    ),
    ErrorCode.CONNECTIVITY: (
        "callwright could not reach what it needs to place the call",
        "Check that a trunk is set (--trunk or [trunks.NAME]), that its name resolves and that the disk is not full.",
    ),
    ErrorCode.CALLFLOW_INVALID: (
        "the callflow asks for something that cannot be carried out",
        "Change the callflow; nobody was dialled.",
    ),
    ErrorCode.NO_COVERAGE: (
        "the sub-account may not call this destination",
        "Add its prefix to 'destinations' of [subaccounts.NAME]. Costly numbers must be listed one by one, in full.",
    ),
    ErrorCode.SPEECH_FAILED: (
        "the text could not be spoken",
        "Try the text with plain letters and another voiceProfile.",
    ),
    ErrorCode.FILE_FAILED: (
        "the file could not be fetched or decoded, so nobody was dialled",
        "It must be an mp3 or wav of at most 5 MB at a public address (`callwright run` allows loopback too).",
    ),
    ErrorCode.VALIDITY_EXPIRED: (
        "validUntil passed before the call could be dialled",
        "Give it more time, or check the clocks of both machines.",
    ),
    ErrorCode.SOURCE_NOT_ALLOWED: (
        "the caller id is not allowed",
        "Add it to 'caller_ids' of [subaccounts.NAME].",
    ),
    ErrorCode.TRUNK_CAPACITY: (
        "no more calls could be carried at that moment",
        "Widen --rtp-ports or spread the calls over time.",
    ),
}

_SIP_ADVICE: dict[int, str] = {
    401: "The trunk did not accept the username and password of [trunks.NAME].",
    403: "The trunk refuses: is the caller id one it knows, and is this machine's address registered with it?",
    404: "The trunk does not know the number. Check the digits and the country code.",
    407: "The trunk did not accept the username and password of [trunks.NAME].",
    408: "Nothing answered at the trunk's address. Check the address, and that UDP passes the firewall both ways.",
    484: "The trunk wants more digits: is the country code there?",
    488: "The trunk and callwright share no codec. Check 'codecs' of [trunks.NAME].",
    503: "The trunk is down, unreachable or full. Check its address, then ask the carrier.",
    603: "The callee, or the network for them, declined.",
}


def verdict(
    summary: SessionSummary, entries: Sequence[TraceEntry], deliveries: Sequence[StoredDelivery]
) -> tuple[str, str]:
    """(what happened, what to do about it); the second is empty when nothing needs doing."""
    sentence, advice = _of_the_call(summary, entries)
    return sentence, " ".join(part for part in (advice, _of_the_reports(deliveries)) if part)


def _of_the_call(summary: SessionSummary, entries: Sequence[TraceEntry]) -> tuple[str, str]:
    if summary.error is not None:
        words, advice = _ERRORS.get(summary.error.code, ("something went wrong that has no name", ""))
        why = f" ({summary.error.reason})" if summary.error.reason else ""
        sentence = words[0].upper() + words[1:] + f"{why}: the session ended as ERROR/{int(summary.error.code)}."
        return sentence, advice
    leg = summary.legs[-1]
    match leg.status:
        case CallStatus.COMPLETED:
            return _completed(leg, entries)
        case CallStatus.BUSY:
            return f"{leg.destination} was busy{_sip(leg)}.", ""
        case CallStatus.NO_ANSWER:
            rang = any(entry.kind == "event.Ringing" for entry in entries)
            words = "rang, but nobody answered" if rang else "could not be made to ring"
            return f"{leg.destination} {words}{_sip(leg)}.", ""
        case CallStatus.CANCELED:
            return f"The call to {leg.destination} was ended before anybody answered.", ""
        case _:
            return f"The call to {leg.destination} failed{_sip(leg)}.", _SIP_ADVICE.get(leg.sip_code or 0, "")


def _completed(leg: LegSummary, entries: Sequence[TraceEntry]) -> tuple[str, str]:
    finished = [entry for entry in entries if entry.kind == "event.PlaybackFinished"]
    wanted = sum(entry.kind == "command.Play" for entry in entries)
    whole = sum(entry.fields.get("completed") is True for entry in finished)
    if leg.hung_up_by is HungUpBy.THEM and (whole < wanted or not wanted):
        heard = f"{leg.destination} answered and hung up after {leg.duration_seconds} s, before the message was over."
    elif leg.hung_up_by is HungUpBy.NETWORK:
        heard = f"{leg.destination} answered, but the connection was lost after {leg.duration_seconds} s."
    else:
        heard = f"{leg.destination} answered and heard the whole message ({leg.duration_seconds} s connected)."
    if leg.quality is None:
        return heard, "No RTP came back from the callee: if they heard nothing either, look for NAT or a firewall."
    if leg.quality.mos < POOR_MOS:
        figures = f"MOS {leg.quality.mos:.1f}, {leg.quality.packet_loss_rate:.1%} lost"
        return heard, f"The line was poor ({figures}): look at the network."
    return heard, ""


def _sip(leg: LegSummary) -> str:
    words = " ".join(str(part) for part in (leg.sip_code, leg.reason) if part)
    return f" ({words})" if words else ""


def _of_the_reports(deliveries: Sequence[StoredDelivery]) -> str:
    for delivery in deliveries:
        match delivery.state:
            case DeliveryState.NO_ENDPOINT:
                return "No webhook is registered for the summary; `callwright listen` shows summaries as they come."
            case DeliveryState.DUE if delivery.attempts:
                last = delivery.attempts[-1]
                return (
                    f"The summary is not delivered yet ({last.host}: {last.status or last.error}); it is tried again."
                )
            case DeliveryState.HELD:
                return "The session summary is held back until a webhook is registered or enabled again."
            case DeliveryState.EXHAUSTED:
                return "The session summary could not be delivered; all tries are used up."
            case _:
                continue
    return ""
