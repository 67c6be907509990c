"""What an observation means: from what a trunk answered, or a call sounded like, to a sentence and a setting. Pure."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from callwright.doctor.finding import Finding, Level
from callwright.sip.address import Via, host_port_text
from callwright.telephony.trunk import Trunk

OUR_HZ, THEIR_HZ = 880.0, 550.0
"""What the calling and the called end say."""
TONE_TOLERANCE_HZ = 8.0
NETWORK = "the network between us"
MUCH_LOSS = 0.03
MUCH_JITTER_MS = 50.0
FEW_ERRORS = 5
"""The last packets of a call may find the other end gone already."""
SOON_DAYS = 14.0

Told = tuple[Level, str, str]
"""Level, sentence, mend."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One end of a call that was answered."""

    received: int
    "RTP packets that were believed"
    refused: int
    "RTP packets of somebody who was not agreed upon"
    sent: int
    send_errors: int
    loss_rate: float
    jitter_ms: float
    remote_loss_rate: float | None
    "as the peer reports it by RTCP"
    tones_hz: tuple[float, ...]
    "that it heard"
    keys: str
    "that it noticed"

    def hears(self, frequency_hz: float) -> bool:
        """Whether a tone was among what came."""
        return any(abs(found - frequency_hz) <= TONE_TOLERANCE_HZ for found in self.tones_hz)


def is_private(host: str) -> bool:
    """Whether an address means something only inside its own network; names are not judged."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return not address.is_global


def judge_status(trunk: Trunk, method: str, status: int, reason: str, *, locally: bool) -> Told:
    """What the end of OPTIONS or REGISTER means."""
    what = f"{method} was answered {status} {reason}".rstrip()
    if locally and status == 503:
        return (Level.FAILURE, f"{method}: {reason or 'the port is refused'}", "uri (host, port and transport)")
    if locally:
        mend = "uri (port and transport), or a firewall between us that drops SIP"
        return (Level.FAILURE, f"{method} was not answered at all", mend)
    if status // 100 == 2:
        return (Level.OK, what, "")
    if status in (401, 407):
        if not trunk.username:
            return (Level.FAILURE, f"{what}: it wants a login", "username and password")
        return (
            Level.FAILURE,
            f"{what}: it does not take our login",
            "username and password, from_domain (the realm)",
        )
    if status == 403:
        mend = "the provider's list of allowed addresses, username and password, or from_domain"
        return (Level.FAILURE, f"{what}: it does not let us in", mend)
    if method == "REGISTER":
        if status == 404:
            return (Level.FAILURE, f"{what}: it does not know the account", "username, from_domain")
        return (Level.FAILURE, f"{what}: we are not registered", "register, expires, or ask the provider")
    if status == 503:
        return (Level.FAILURE, f"{what}: it takes no calls now", "nothing here: ask the provider")
    return (Level.OK, f"{what}; it is there", "")


def judge_via(via: Via, *, latches: bool) -> Told:
    """Whether the trunk sees us where we say that we are (RFC 3261 §18.2.1, RFC 3581)."""
    said, said_port = via.host, via.port or 5060
    seen, seen_port = via.received or said, via.rport or said_port
    if via.transport != "UDP":
        seen_port = said_port  # a connection leaves from a port of its own
    place = host_port_text(seen, seen_port)
    if seen == said and seen_port == said_port:
        return (Level.OK, f"it sees us at {place}, where we say that we are", "")
    if seen == said:
        text = f"it sees us at port {seen_port}, and we say {said_port}: a NAT changes SIP's port"
        return (Level.WARNING, text, f'forward port {said_port} unchanged, or stun, or advertise = "{place}"')
    mend = f'advertise = "{seen}"' + ("" if seen_port == said_port else f' (or "{place}"), or stun')
    text = f"it sees us at {place}, and we say that we are at {host_port_text(said, said_port)}"
    return (Level.WARNING if latches else Level.FAILURE, text, mend)


def judge_our_media(media_host: str, trunk_host: str) -> Told | None:
    """Whether the trunk can send sound to the address that we tell it."""
    if not is_private(media_host) or is_private(trunk_host):
        return None
    text = f"we ask for sound at {media_host}, which {trunk_host} cannot reach from outside"
    return (Level.FAILURE, text, "advertise (the public address), or stun; and forward rtp_ports")


def judge_their_media(remote_host: str, trunk_host: str, *, symmetric: bool) -> Told | None:
    """Whether we can send sound to the address that the trunk tells us."""
    if not is_private(remote_host) or is_private(trunk_host) or symmetric:
        return None
    text = f"it asks for sound at {remote_host}, a private address that cannot be reached from here"
    return (Level.FAILURE, text, "symmetric_rtp = true")


def judge_refusal(trunk: Trunk, status: int | None, reason: str, number: str) -> Told:
    """What it means that a call was not answered."""
    what = f"the call to {number} ended with {status or 'no status'} {reason}".rstrip()
    match status:
        case None:
            return (Level.FAILURE, f"the call to {number} was not dialled: {reason}", "see the findings above")
        case 486 | 600 | 480 | 603:
            return (Level.NOTE, f"{what}: the trunk carried it, and nobody picked up", "--call another number")
        case 487:
            return (Level.WARNING, f"{what}: nobody answered in time", "--call another number")
        case 401 | 407:
            return (Level.FAILURE, f"{what}: it does not take our login", "username and password")
        case 403:
            mend = (
                "from_user, identity or number_format (a caller id that it allows), or the destinations that it allows"
            )
            return (Level.FAILURE, f"{what}: it does not allow the call", mend)
        case 404 | 484 | 604 | 416:
            mend = f'number_format (now "{trunk.number_format.value}"), country, rewrite'
            return (Level.FAILURE, f"{what}: it does not understand the number as we write it", mend)
        case 488 | 606 | 415:
            mend = f"codecs (now {', '.join(trunk.codecs)}), or srtp"
            return (Level.FAILURE, f"{what}: it shares no codec or no encryption with us", mend)
        case 408:
            return (
                Level.FAILURE,
                f"{what}: the trunk does not answer INVITE",
                "uri (transport), or a firewall between us",
            )
        case 502 | 503 | 504 | 500:
            return (Level.FAILURE, f"{what}: the trunk cannot carry it now", "ask the provider")
        case _:
            return (Level.FAILURE, what, "ask the provider what it means")


def judge_echo(heard: Heard) -> list[Told]:
    """What we heard of a number that answered: our own tone when it is an echo."""
    told = _one_end("us", heard)
    if not heard.received:
        return told
    if heard.hears(OUR_HZ):
        told.append((Level.OK, "our tone came back: sound goes both ways", ""))
    else:
        words = "it says something else" if heard.tones_hz else "it is silent"
        text = f"sound comes, and our tone is not in it: {words}, and whether we are heard is not known"
        told.append((Level.NOTE, text, "--call the number of an echo test, or one of yours that the trunk sends back"))
    return told


def judge_loop(ours: Heard, theirs: Heard) -> list[Told]:
    """Both ends of a call that came back to us."""
    told = [*_one_end("the calling end", ours), *_one_end("the called end", theirs)]
    if ours.received and theirs.received:
        forth, back = theirs.hears(OUR_HZ), ours.hears(THEIR_HZ)
        if forth and back:
            told.append((Level.OK, "each end hears the other's tone", ""))
        elif forth or back:
            whom = "the called end does not hear the caller" if back else "the caller does not hear the called end"
            told.append((Level.FAILURE, f"one-way audio: {whom}, although packets come", "ask the provider"))
        else:
            told.append((Level.FAILURE, "packets come, and neither end hears the other's tone in them", "codecs"))
    return told


def _one_end(who: str, heard: Heard) -> list[Told]:
    told: list[Told] = []
    if not heard.received:
        if heard.refused:
            text = f"one-way audio: {heard.refused} packets came for {who} from another address than was agreed upon"
            return [(Level.FAILURE, text, "symmetric_rtp = true")]
        text = f"one-way audio: no sound came for {who}"
        mend = "rtp_ports (open them in the firewall, UDP, and forward them behind a NAT), advertise"
        return [(Level.FAILURE, text, mend)]
    if heard.send_errors > FEW_ERRORS:
        text = f"one-way audio: packets from {who} are refused where they are sent to ({heard.send_errors} times)"
        told.append((Level.FAILURE, text, "symmetric_rtp = true, or ask the provider which ports it opens"))
    if heard.loss_rate > MUCH_LOSS:
        told.append((Level.WARNING, f"{heard.loss_rate:.0%} of the packets for {who} are lost", NETWORK))
    if heard.jitter_ms > MUCH_JITTER_MS:
        told.append((Level.WARNING, f"packets for {who} come unevenly ({heard.jitter_ms:.0f} ms)", NETWORK))
    if heard.remote_loss_rate is not None and heard.remote_loss_rate > MUCH_LOSS:
        text = f"{heard.remote_loss_rate:.0%} of the packets from {who} are lost on the way"
        told.append((Level.WARNING, text, NETWORK))
    return told


def judge_keys(pressed: str, noticed: str, *, has_events: bool) -> Told:
    """Whether keys get through, as far as that can be told."""
    if not has_events:
        text = "it takes and sends no telephone-events (RFC 4733): keys come as tones, and some will be missed"
        return (Level.WARNING, text, "ask the provider for RFC 4733 (telephone-event)")
    if noticed == pressed:
        return (
            Level.OK,
            f"telephone-events are agreed upon, and keys that were played as tones came through: {noticed}",
            "",
        )
    if noticed:
        text = f"of the keys {pressed}, which were played as tones, only {noticed} came through"
        return (Level.WARNING, text, "ask the provider how it carries keys (RFC 4733)")
    return (Level.OK, "telephone-events are agreed upon", "")


def judge_certificate(days_left: float, names: Sequence[str], problem: str, host: str) -> Told:
    """What a TLS server's certificate is worth; `problem` is why it was not believed, empty when it was."""
    shown = ", ".join(names) or "no name"
    if days_left < 0:
        text = f"its certificate has expired {-days_left:.0f} days ago"
        return (Level.FAILURE, text, "nothing here: the provider must renew it")
    if "hostname mismatch" in problem.lower() or "ip address mismatch" in problem.lower():
        return (Level.FAILURE, f"its certificate is for {shown}, and not for {host}", "the host of uri")
    if problem:
        return (Level.FAILURE, f"its certificate is not believed: {problem}", "ca_file (the authority that signed it)")
    if days_left < SOON_DAYS:
        return (
            Level.WARNING,
            f"its certificate expires in {days_left:.0f} days",
            "nothing here: the provider must renew it",
        )
    return (Level.OK, f"its certificate is for {shown} and good for {days_left:.0f} days", "")


def told(trunk: str, check: str, words: Told) -> Finding:
    """A finding of it."""
    return Finding(trunk, check, *words)
