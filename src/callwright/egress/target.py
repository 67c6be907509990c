"""Where a request goes: a URL, read once, and refused when it is not a plain http or https one.

Refused are other schemes, user names and passwords in URLs, ports of other protocols (address.py), and in redirects a
step back from https to http. There is one parser, so nobody reads another host out of a URL than the one that is used.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

import httpx

from callwright.egress.address import port_refusal
from callwright.errors import EgressError, EgressRefused

MOST_URL_LENGTH = 4096
TARGETS_KEPT = 1024

_ABSOLUTE_URL = re.compile(r"https?://(?P<authority>[^/?#\\]+)", re.IGNORECASE)
_HOST_AND_PORT = re.compile(r"(?:\[[^\]]*\]|[^:\[\]]*)(?::[0-9]{0,5})?")
_DEFAULT_PORTS = {"http": 80, "https": 443}


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

    url: httpx.URL
    origin: Origin
    host_header: bytes
    path: bytes
    "with its query"


@lru_cache(maxsize=TARGETS_KEPT)
def checked_target(text: str) -> Target:
    """The URL as it will be used. EgressRefused says what is wrong with it. Kept, as webhooks go to few URLs."""
    if len(text) > MOST_URL_LENGTH:
        raise EgressRefused(f"The URL is longer than {MOST_URL_LENGTH} characters.")
    if any(character <= " " or character in "\\\x7f" for character in text):
        raise EgressRefused("The URL holds a space, a backslash or a control character.")
    absolute = _ABSOLUTE_URL.match(text)
    if absolute is None:
        raise EgressRefused("Only complete http and https URLs are used.")
    if "@" in absolute["authority"]:
        raise EgressRefused("A URL with a user name or password is not used.")
    if not _HOST_AND_PORT.fullmatch(absolute["authority"]):
        raise EgressRefused("The URL's host and port cannot be read.")
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise EgressRefused(f"The URL cannot be read: {error}.") from error
    if url.scheme not in _DEFAULT_PORTS or url.userinfo or not url.host:
        raise EgressRefused("The URL cannot be read.")
    port = url.port if url.port is not None else _DEFAULT_PORTS[url.scheme]
    reason = port_refusal(port)
    if reason is not None:
        raise EgressRefused(f"The URL's port {url.port} is {reason}.")
    origin = Origin(url.scheme == "https", url.raw_host.decode("ascii"), port)
    return Target(url, origin, url.netloc, url.raw_path)


def redirected(target: Target, status: int, location: str | None) -> Target:
    """Where an answer from `target` sends us. EgressError when it does not say, EgressRefused when we do not go."""
    if location is None:
        raise EgressError(f"The server answered with status {status} but says not where to go.")
    if len(location) > MOST_URL_LENGTH:
        raise EgressRefused("The server redirects to a URL that is too long.")
    try:
        url = target.url.join(location)
    except httpx.InvalidURL as error:
        raise EgressRefused("The server redirects to a URL that cannot be read.") from error
    if target.origin.is_secure and url.scheme == "http":
        raise EgressRefused("The server redirects from https to http.")
    try:
        return checked_target(str(url.copy_with(fragment=None)))
    except EgressRefused as error:
        raise EgressRefused(f"The server redirects to a URL that is refused. {error}") from error
