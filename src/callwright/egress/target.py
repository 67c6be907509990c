"""Where a request goes: a URL, read once, and refused when it is not a plain http or https one.

Refused are other schemes, user names and passwords in URLs, ports of other protocols (address.py), and in redirects a
step back from https to http. There is one parser, so nobody reads another host out of a URL than the one that is used.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from urllib.parse import quote, urljoin

import idna

from callwright.egress.address import port_refusal
from callwright.errors import EgressError, EgressRefused

MOST_URL_LENGTH = 4096
TARGETS_KEPT = 1024

_URL = re.compile(r"(https?)://([^/?#\\]+)([^?#]*)(\?[^#]*)?", re.IGNORECASE)
"""Scheme, authority, path, query; what follows is the fragment."""
_HOST_AND_PORT = re.compile(r"(\[[^\]]*\]|[^:\[\]]*)(?::([0-9]{0,5}))?")
_NAME = re.compile(r"[a-z0-9_.-]+")
_IPV4_SHAPE = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+")
_DEFAULT_PORTS = {"http": 80, "https": 443}
# What stays as it is written (WHATWG URL, "path percent-encode set" and "query percent-encode set"); escapes do.
_VISIBLE = "".join(map(chr, range(0x21, 0x7F)))
_IN_PATH = _VISIBLE.translate(str.maketrans("", "", '"#<>?`{}'))
_IN_QUERY = _VISIBLE.translate(str.maketrans("", "", '"#<>'))


@dataclass(frozen=True, slots=True)
class Origin:
    """Whom a connection is made to (RFC 6454): requests to one origin share connections."""

    is_secure: bool
    "https"
    host: str
    "in ASCII, an IPv6 address without its brackets"
    port: int


@dataclass(frozen=True, slots=True)
class Target:
    """A URL as a request needs it."""

    origin: Origin
    host_header: str
    path: str
    "with its query"

    @property
    def url(self) -> str:
        """All of it, without its fragment."""
        return f"{'https' if self.origin.is_secure else 'http'}://{self.host_header}{self.path}"


@lru_cache(maxsize=TARGETS_KEPT)
def checked_target(text: str) -> Target:
    """The URL as it will be used. EgressRefused says what is wrong with it. Kept, as webhooks go to few URLs."""
    if len(text) > MOST_URL_LENGTH:
        raise EgressRefused(f"The URL is longer than {MOST_URL_LENGTH} characters.")
    if any(character <= " " or character in "\\\x7f" for character in text):
        raise EgressRefused("The URL holds a space, a backslash or a control character.")
    found = _URL.match(text)
    if found is None:
        raise EgressRefused("Only complete http and https URLs are used.")
    scheme, authority, path, query = found[1].lower(), found[2], found[3], found[4] or ""
    if "@" in authority:
        raise EgressRefused("A URL with a user name or password is not used.")
    place = _HOST_AND_PORT.fullmatch(authority)
    if place is None:
        raise EgressRefused("The URL's host and port cannot be read.")
    host = _host(place[1])
    port = int(place[2]) if place[2] else _DEFAULT_PORTS[scheme]
    reason = port_refusal(port)
    if reason is not None:
        raise EgressRefused(f"The URL's port {port} is {reason}.")
    header = f"[{host}]" if ":" in host else host
    if port != _DEFAULT_PORTS[scheme]:
        header += f":{port}"
    sent = quote(_without_dots(path), safe=_IN_PATH) + quote(query, safe=_IN_QUERY)
    return Target(Origin(scheme == "https", host, port), header, sent)


def redirected(target: Target, status: int, location: str | None) -> Target:
    """Where an answer from `target` sends us. EgressError when it does not say, EgressRefused when we do not go."""
    if location is None:
        raise EgressError(f"The server answered with status {status} but says not where to go.")
    if len(location) > MOST_URL_LENGTH:
        raise EgressRefused("The server redirects to a URL that is too long.")
    try:
        url = urljoin(target.url, location)
    except ValueError as error:
        raise EgressRefused("The server redirects to a URL that cannot be read.") from error
    if target.origin.is_secure and url.lower().startswith("http:"):
        raise EgressRefused("The server redirects from https to http.")
    try:
        return checked_target(url)
    except EgressRefused as error:
        raise EgressRefused(f"The server redirects to a URL that is refused. {error}") from error


def _host(written: str) -> str:
    """The host in ASCII and lower case, brackets taken off; EgressRefused when it is none."""
    if "%" in written:  # an escape, or a zone, which means nothing on another machine
        raise EgressRefused("The URL's host cannot be read.")
    try:
        if written.startswith("["):
            return str(IPv6Address(written[1:-1]))
        if not written.isascii():
            return _host(idna.encode(written.lower()).decode("ascii"))
        if _IPV4_SHAPE.fullmatch(written):
            return str(IPv4Address(written))
    except (AddressValueError, idna.IDNAError) as error:
        raise EgressRefused("The URL's host cannot be read.") from error
    name = written.lower()
    if not _NAME.fullmatch(name):
        raise EgressRefused("The URL's host cannot be read.")
    return name


def _without_dots(path: str) -> str:
    """The path without its `.` and `..` (RFC 3986 §5.2.4); at least "/"."""
    if "/." not in path:
        return path or "/"
    kept: list[str] = []
    parts = path.split("/")[1:]
    for part in parts:
        if part == "..":
            del kept[-1:]
        elif part != ".":
            kept.append(part)
    if parts[-1] in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept)
