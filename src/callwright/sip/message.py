"""A SIP message in memory (RFC 3261 §7): start line, headers in order, body.

Headers stay text until somebody asks: most messages need five of their fifteen headers, and a proxy's odd header must
come out as it went in. `address.py` reads the values.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from callwright.errors import SipSyntaxError
from callwright.sip.lexis import split_list

COMPACT_FORMS = {
    "a": "Accept-Contact",
    "b": "Referred-By",
    "c": "Content-Type",
    "d": "Request-Disposition",
    "e": "Content-Encoding",
    "f": "From",
    "i": "Call-ID",
    "j": "Reject-Contact",
    "k": "Supported",
    "l": "Content-Length",
    "m": "Contact",
    "o": "Event",
    "r": "Refer-To",
    "s": "Subject",
    "t": "To",
    "u": "Allow-Events",
    "v": "Via",
    "x": "Session-Expires",
    "y": "Identity",
}
"""One-letter names and what they stand for (RFC 3261 §7.3.3 and the IANA list)."""

_LONG_NAMES = (
    "Accept",
    "Accept-Encoding",
    "Accept-Language",
    "Alert-Info",
    "Allow",
    "Authentication-Info",
    "Authorization",
    "Call-Info",
    "Content-Disposition",
    "Content-Language",
    "CSeq",
    "Date",
    "Diversion",
    "Error-Info",
    "Expires",
    "History-Info",
    "Max-Forwards",
    "MIME-Version",
    "Min-Expires",
    "Min-SE",
    "Organization",
    "P-Asserted-Identity",
    "P-Early-Media",
    "Path",
    "Privacy",
    "Proxy-Authenticate",
    "Proxy-Authorization",
    "Proxy-Require",
    "RAck",
    "Reason",
    "Record-Route",
    "Remote-Party-ID",
    "Reply-To",
    "Require",
    "Retry-After",
    "Route",
    "RSeq",
    "Server",
    "Service-Route",
    "Timestamp",
    "Unsupported",
    "User-Agent",
    "Warning",
    "WWW-Authenticate",
    *COMPACT_FORMS.values(),
)
KNOWN_NAMES: dict[str, str] = {}
"""Every usual spelling of a known name → the name. What stands in here needs no checking."""
for _name in _LONG_NAMES:
    KNOWN_NAMES[_name] = KNOWN_NAMES[_name.lower()] = _name
for _letter, _name in COMPACT_FORMS.items():
    KNOWN_NAMES[_letter] = KNOWN_NAMES[_letter.upper()] = _name


def header_name(name: str) -> tuple[str, str]:
    """(key, name): what a header is compared by, and how it is written. Compact forms become the long name."""
    known = KNOWN_NAMES.get(name)
    if known is None:
        lower = name.lower()
        known = KNOWN_NAMES.get(lower)
        if known is None:
            return lower, name
    return known, known


class Headers:
    """Header fields in order, one per line; names compare without case and in either form (`v` is `Via`)."""

    __slots__ = ("_index", "_items")

    def __init__(self, items: Iterable[tuple[str, str]] = ()) -> None:
        self._items: list[tuple[str, str, str]] = [
            (known, known, value) if (known := KNOWN_NAMES.get(name)) else (*header_name(name), value)
            for name, value in items
        ]
        self._index: dict[str, tuple[str, ...]] | None = None  # values by key, made when first asked for

    def get(self, name: str) -> str | None:
        """The value of the first line of that name; None when there is none."""
        lines = (self._index or {}).get(name) or self._lines(name)
        return lines[0] if lines else None

    def all(self, name: str) -> list[str]:
        """The values of all lines of that name, one per line, commas untouched."""
        return [*self._lines(name)]

    def repeated(self) -> list[str]:
        """The names of which there are several lines, as they are compared: the long name, or in lower case."""
        self._lines("Via")  # makes the index
        return [key for key, lines in (self._index or {}).items() if len(lines) > 1]

    def values(self, name: str) -> list[str]:
        """The comma-separated values of all lines of that name (RFC 3261 §7.3.1), stripped, in order.

        Commas inside quotes and `<>` do not separate. SipSyntaxError for an empty value (`a,,b`) or an open quote.
        """
        found: list[str] = []
        for line in self._lines(name):
            parts = split_list(line, ",") if "," in line else [line.strip()]
            if "" in parts:
                if parts == [""]:  # `Supported:` is an empty list (RFC 3261 §20.37)
                    continue
                raise SipSyntaxError(f"an empty value between commas in {header_name(name)[1]}")
            found += parts
        return found

    def add(self, name: str, value: str) -> None:
        """Append a line."""
        self._items.append((*header_name(name), value))
        self._index = None

    def insert_first(self, name: str, value: str) -> None:
        """Put a line before all others of its name; at the top when there are none."""
        key, long_name = header_name(name)
        at = next((i for i, item in enumerate(self._items) if item[0] == key), 0)
        self._items.insert(at, (key, long_name, value))
        self._index = None

    def set(self, name: str, value: str) -> None:
        """Leave exactly one line of that name, where the first one stood, else at the end."""
        key, long_name = header_name(name)
        at = next((i for i, item in enumerate(self._items) if item[0] == key), len(self._items))
        self._items = [item for item in self._items if item[0] != key]
        self._items.insert(at, (key, long_name, value))
        self._index = None

    def remove(self, name: str) -> None:
        """Take all lines of that name out; none there is fine."""
        wanted = header_name(name)[0]
        self._items = [item for item in self._items if item[0] != wanted]
        self._index = None

    def copy(self) -> "Headers":
        """Independent headers with the same lines."""
        made = Headers()
        made._items = self._items.copy()
        return made

    def _lines(self, name: str) -> tuple[str, ...]:
        index = self._index
        if index is None:
            index = self._index = {}
            for key, _, value in self._items:
                index[key] = (*index[key], value) if key in index else (value,)
        lines = index.get(name)  # mostly asked for as it is written
        if lines is None:
            lines = index.get(KNOWN_NAMES.get(name) or header_name(name)[0], ())
        return lines

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter([(name, value) for _, name, value in self._items])

    def __contains__(self, name: str) -> bool:
        return bool(self._lines(name))

    def __len__(self) -> int:
        return len(self._items)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Headers):
            return NotImplemented
        return [(key, value) for key, _, value in self._items] == [(key, value) for key, _, value in other._items]

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __repr__(self) -> str:
        return f"Headers({list(self)!r})"


@dataclass(slots=True)
class Request:
    """What somebody asks (RFC 3261 §7.1). Method and URI as written; the method compares with case."""

    method: str
    uri: str
    headers: Headers
    body: bytes = b""


@dataclass(slots=True)
class Response:
    """What is answered (RFC 3261 §7.2). `status` is 100 to 699; `reason` may be empty and says nothing to machines."""

    status: int
    reason: str
    headers: Headers
    body: bytes = b""


Message = Request | Response
