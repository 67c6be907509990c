"""Markup for speech services (W3C SSML 1.1), around text that is always plain.

Nothing a customer writes is ever markup: every character that XML gives a meaning is escaped, and characters that XML
cannot hold are expected to be gone (`text.readable`). Pure functions.
"""

_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;"}
_ESCAPING = str.maketrans(_ESCAPES)


def escape(text: str) -> str:
    """The text as XML character data or as the value of an attribute."""
    return text.translate(_ESCAPING)


def escaped_length(character: str) -> int:
    """How many characters one character takes."""
    return len(_ESCAPES.get(character, character))


def azure_document(text: str, voice: str, speed: float) -> str:
    """A document for Azure Speech; its `prosody rate` is a change in percent. `voice` is a full Azure name."""
    locale = "-".join(voice.split("-")[:2])
    body = _at_rate(text, f"{(speed - 1) * 100:+.2f}%", speed)
    return (
        '<speak version="1.0" xmlns="http://www.w3.org/2001/10/synthesis" '
        f'xml:lang="{escape(locale)}"><voice name="{escape(voice)}">{body}</voice></speak>'
    )


def polly_document(text: str, speed: float) -> str:
    """A document for Amazon Polly; its `prosody rate` is a percentage of the normal rate, 20 to 200."""
    return f"<speak>{_at_rate(text, f'{speed * 100:.0f}%', speed)}</speak>"


def _at_rate(text: str, rate: str, speed: float) -> str:
    return escape(text) if speed == 1.0 else f'<prosody rate="{rate}">{escape(text)}</prosody>'
