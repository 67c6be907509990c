"""A SIP ladder for the terminal: who sent what to whom, and when. Pure."""

from collections.abc import Sequence

from callwright.telemetry.trace import TraceEntry

ARROW_WIDTH = 44
KINDS = ("sip.sent", "sip.received")


def ladder(entries: Sequence[TraceEntry], began_at: float) -> list[str]:
    """Lines to print: one column for us, one for the trunk, an arrow for each message, seconds since `began_at`."""
    messages = [entry for entry in entries if entry.kind in KINDS]
    if not messages:
        return []
    peers = list(dict.fromkeys(str(entry.fields.get("peer", "")) for entry in messages))
    lines = [f"{'':>9}  {'callwright':<{ARROW_WIDTH}}  {', '.join(peers)}"]
    repeated = _repetitions(messages)
    for entry, again in zip(messages, repeated, strict=True):
        words = _words(entry) + (" (again)" if again else "")
        lines.append(f"{entry.at - began_at:>8.3f}s  {_arrow(words, sent=entry.kind == 'sip.sent')}")
    return lines


def _words(entry: TraceEntry) -> str:
    """`INVITE`, `200 OK (INVITE)`."""
    line, cseq = str(entry.fields.get("line", "")), str(entry.fields.get("cseq", ""))
    if line.startswith("SIP/2.0 "):
        return f"{line.removeprefix('SIP/2.0 ')} ({cseq.partition(' ')[2] or cseq})"
    text = str(entry.fields.get("text", ""))
    extras = [word for word, mark in (("SDP", "\nContent-Type: application/sdp"),) if mark.lower() in text.lower()]
    return " ".join([line.partition(" ")[0], *(f"({extra})" for extra in extras)])


def _arrow(words: str, *, sent: bool) -> str:
    words = words if len(words) <= ARROW_WIDTH - 6 else words[: ARROW_WIDTH - 7] + "…"
    shaft = f" {words} ".center(ARROW_WIDTH - 2, "─")
    return f"│{shaft}▶│" if sent else f"│◀{shaft}│"


def _repetitions(messages: Sequence[TraceEntry]) -> list[bool]:
    """Which messages are retransmissions: the same text the same way, once more."""
    seen: set[tuple[str, str]] = set()
    again = []
    for entry in messages:
        key = (entry.kind, str(entry.fields.get("text", "")))
        again.append(key in seen)
        seen.add(key)
    return again
