"""The small words of the SIP grammar (RFC 3261 §25.1): tokens, quoted strings, lists, numbers.

Everything above (addresses, headers, digest) is cut with these, so that quotes and angle brackets hide separators
everywhere in the same way.
"""

import re

from callwright.errors import SipSyntaxError

TOKEN = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+")
"""`token`: names of methods, headers, parameters and schemes."""

_CUTS = {separator: re.compile(rf'["<>{separator}]') for separator in ",;"}
_QUOTED_REST = re.compile(r'[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_PARAMETER = re.compile(
    r"""([A-Za-z0-9\-.!%*_+`'~]+)(?:\s*=\s*("[^"\\]*(?:\\.[^"\\]*)*"|[^\s";,<>=\0-\x1f\x7f][^\s";,<>\0-\x1f\x7f]*))?""",
    re.DOTALL,
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)

Params = dict[str, str | None]
"""Parameters in order; names in lower case, values as written (quotes kept), None for a name without a value."""


def is_token(text: str) -> bool:
    """Whether the whole text is one `token`."""
    return TOKEN.fullmatch(text) is not None


MOST_DIGITS = 20
"""Of the largest number that anybody asks for, 2**64 - 1; longer texts are not turned into numbers at all."""


def decimal(text: str, most: int) -> int | None:
    """An unsigned decimal number up to `most`; None when it is anything else, however long."""
    if not (text.isascii() and text.isdigit()):
        return None
    if len(text) > MOST_DIGITS:
        text = text.lstrip("0") or "0"
        if len(text) > MOST_DIGITS:
            return None
    number = int(text)
    return number if number <= most else None


def split_list(text: str, separator: str) -> list[str]:
    """Cut at `separator` ("," or ";") outside quotes and angle brackets; the parts come stripped, empty ones too.

    Raises SipSyntaxError when a quote or a bracket stays open.
    """
    if '"' not in text and "<" not in text:
        return [part.strip() for part in text.split(separator)]
    parts: list[str] = []
    start = position = 0
    bracketed = False
    find = _CUTS[separator].search
    while found := find(text, position):
        mark = found.group()
        position = found.end()
        if mark == '"':
            # Inside <> a quote has no meaning of its own (a URI cannot hold one); its parser will refuse it.
            if not bracketed:
                position = after_quoted(text, found.start())
        elif mark == "<":
            if bracketed:
                raise SipSyntaxError("'<' inside '<>'")
            bracketed = True
        elif mark == ">":
            if not bracketed:
                raise SipSyntaxError("'>' without '<'")
            bracketed = False
        elif not bracketed:
            parts.append(text[start : found.start()].strip())
            start = position
    if bracketed:
        raise SipSyntaxError("'<' is never closed")
    parts.append(text[start:].strip())
    return parts


def after_quoted(text: str, start: int) -> int:
    """The position behind the quoted string that opens at `start`; SipSyntaxError when it never closes."""
    rest = _QUOTED_REST.match(text, start + 1)
    if rest is None:
        raise SipSyntaxError("a quoted string is never closed")
    return rest.end()


def quote(text: str) -> str:
    """`text` as a quoted-string."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def unquote(text: str) -> str:
    """The text inside a quoted-string; text without quotes comes back as it is."""
    if len(text) >= 2 and text[0] == '"' == text[-1]:
        text = text[1:-1]
        return _ESCAPED.sub(r"\1", text) if "\\" in text else text
    return text


def parse_params(text: str) -> Params:
    """Header parameters `;name=value;name` from the first ";" on (RFC 3261 §7.3.1); a name stands once only."""
    params: Params = {}
    if not text:
        return params
    parts = split_list(text, ";")
    if parts[0]:
        raise SipSyntaxError(f"{parts[0][:40]!r} where a parameter should begin")
    for part in parts[1:]:
        found = _PARAMETER.fullmatch(part)
        if found is None:
            raise SipSyntaxError(f"{part[:40]!r} is not a parameter")
        name = found.group(1).lower()
        if name in params:
            raise SipSyntaxError(f"parameter {name[:40]!r} stands twice")
        params[name] = found.group(2)
    return params


def params_text(params: Params) -> str:
    """`;name=value;name`, ready to follow what it belongs to."""
    if not params:
        return ""
    return "".join([f";{name}" if value is None else f";{name}={value}" for name, value in params.items()])
