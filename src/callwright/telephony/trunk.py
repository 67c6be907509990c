"""Trunks: who carries our calls, and how each wants numbers and headers written. Pure."""

import functools
import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import cast

from callwright import settings
from callwright.audio.codecs import CODECS
from callwright.audio.g711 import ENCODINGS
from callwright.errors import TelephonyError
from callwright.numbers import national_form
from callwright.sip.address import NameAddr, SipUri, escape_user
from callwright.sip.negotiation import Srtp
from callwright.sip.outputs import Address as Address

SESSION_HEADER = "X-Callwright-Session-Id"
NO_PRIVACY = "none"
ADDRESSES_REMEMBERED = 1_024
"""Hosts of peers, as text that is an address or is none: each call asks for its own several times."""


class CallerIdFormat(StrEnum):
    """How a trunk wants to read numbers."""

    PLUS_E164 = "+E.164"
    E164 = "E.164"
    "without the plus"
    NATIONAL = "national"
    "as dialled from the trunk's country"


@dataclass(frozen=True, slots=True)
class Trunk:
    """One SIP trunk, as it was configured."""

    name: str
    host: str
    "IP address or host name"
    port: int = 5060
    username: str = ""
    "for digest challenges (RFC 7616); empty: the trunk knows us by our address"
    password: str = field(default="", repr=False)
    codecs: tuple[str, ...] = ("PCMU", "PCMA")
    "RTP encoding names, the preferred one first"
    srtp: Srtp = "off"
    symmetric_rtp: bool = False
    number_format: CallerIdFormat = CallerIdFormat.PLUS_E164
    from_domain: str = ""
    "host part of our From address; empty: our own address"
    sources: tuple[str, ...] = ()
    "IP addresses and networks besides its own that the trunk sends requests from"
    built_in: bool = False
    "the built-in carrier: it alone is told the session id"
    transport: str = ""
    "UDP, TCP or TLS; empty: what its domain's records say, else UDP, and TCP for large requests (RFC 3261 §18.1.1)"
    port_named: bool = True
    "False: SRV records may name another port"
    register_seconds: int = 0
    group: str = ""
    priority: int = 0
    weight: int = 1
    options_seconds: int = 0
    ca_file: str = ""
    certificate: str = ""
    key: str = ""
    country: str = ""
    identity: str = "From"
    privacy: str = NO_PRIVACY
    from_user: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    max_calls: int = 0
    calls_per_second: int = 0
    rewrite: tuple[tuple[str, str], ...] = ()
    rewrite_caller: tuple[tuple[str, str], ...] = ()
    advertise: settings.HostPort | None = None
    stun: settings.HostPort | None = None

    @property
    def tls_account(self) -> str:
        """What distinguishes its TLS connections from those of another trunk at the same host; empty: nothing."""
        files = (self.ca_file, self.certificate, self.key)
        return repr(files) if any(files) else ""

    @property
    def media_peers(self) -> str:
        """Whose calls may share local ports; empty for calls whose sound may come from anywhere."""
        return "" if self.symmetric_rtp else self.name

    def number(self, e164: str) -> str:
        """A called number (E.164 with `+`), as this trunk wants to be asked for it."""
        return rewritten(self._formatted(e164), self.rewrite)

    def caller_number(self, e164: str) -> str:
        """The caller's number, as this trunk reads it."""
        return rewritten(self._formatted(e164), self.rewrite_caller)

    def _formatted(self, e164: str) -> str:
        match self.number_format:
            case CallerIdFormat.PLUS_E164:
                return e164
            case CallerIdFormat.E164:
                return e164.removeprefix("+")
            case CallerIdFormat.NATIONAL:
                return national_form(e164, self.country)

    def callee(self, destination: str) -> SipUri:
        """The Request-URI for a called number."""
        usual = 5061 if self.transport == "TLS" else 5060
        port = None if self.port == usual or not self.port_named else self.port
        return SipUri(self.host.strip("[]"), escape_user(self.number(destination)), port)

    def caller(self, source: str, our_host: str) -> NameAddr:
        """Our From address: the number, the account, or nobody (RFC 3323 §4.1.1.3)."""
        if self.privacy != NO_PRIVACY and self.identity != "From":
            return NameAddr("sip:anonymous@anonymous.invalid", "Anonymous")
        user = self.from_user or self.caller_number(source)
        return NameAddr(str(SipUri(self.from_domain or our_host, escape_user(user))))

    def call_headers(self, source: str, our_host: str, session_id: str) -> list[tuple[str, str]]:
        """Further header fields of an INVITE: identity (RFC 3325), Privacy (RFC 3323), the operator's own.

        Outside trunks learn nothing of our sessions.
        """
        headers = []
        if self.identity != "From":
            uri = SipUri(self.from_domain or our_host, escape_user(self.caller_number(source)))
            party = ";party=calling" if self.identity == "Remote-Party-ID" else ""
            hidden = ";privacy=full" if party and self.privacy != NO_PRIVACY else ""
            headers.append((self.identity, f"<{uri}>{party}{hidden}"))
        if self.privacy != NO_PRIVACY:
            headers.append(("Privacy", self.privacy))
        return [*headers, *self.headers, *self.session_headers(session_id)]

    def session_headers(self, session_id: str) -> list[tuple[str, str]]:
        """What the built-in carrier is told besides."""
        return [(SESSION_HEADER, session_id)] if self.built_in else []


def rewritten(number: str, rules: Sequence[tuple[str, str]]) -> str:
    """A number after the first rule that matches it."""
    for pattern, replacement in rules:
        if re.search(pattern, number):
            return re.sub(pattern, replacement, number, count=1)
    return number


def configured(trunk: settings.Trunk) -> Trunk:
    """A trunk as the operator's settings describe it."""
    address = trunk.address
    return Trunk(
        trunk.name,
        address.host,
        address.port,
        username=trunk.username or "",
        password=trunk.password.reveal() if trunk.password is not None else "",
        codecs=trunk.codecs,
        srtp=cast("Srtp", trunk.srtp),
        symmetric_rtp=trunk.symmetric_rtp,
        number_format=CallerIdFormat(trunk.number_format),
        from_domain=trunk.from_domain,
        sources=trunk.sources,
        transport=address.transport,
        port_named=address.port_named,
        register_seconds=trunk.register_seconds,
        group=trunk.group,
        priority=trunk.priority,
        weight=trunk.weight,
        options_seconds=trunk.options_seconds,
        ca_file=trunk.ca_file,
        certificate=trunk.certificate,
        key=trunk.key,
        country=trunk.country,
        identity=trunk.identity,
        privacy=trunk.privacy,
        from_user=trunk.from_user,
        headers=trunk.headers,
        max_calls=trunk.max_calls,
        calls_per_second=trunk.calls_per_second,
        rewrite=trunk.rewrite,
        rewrite_caller=trunk.rewrite_caller,
        advertise=trunk.advertise,
        stun=trunk.stun,
    )


def choose_trunk(trunks: Sequence[Trunk], destination: str) -> Trunk:
    """The trunk that takes a call to `destination`: the first one. TelephonyError when there is none."""
    if not trunks:
        raise TelephonyError(f"no trunk takes calls to {destination}: none is configured (--trunk, CALLWRIGHT_TRUNK)")
    return trunks[0]


@functools.lru_cache(maxsize=4096)
def is_among(host: str, sources: tuple[str, ...]) -> bool:
    """Whether an IP address is one of these, or in one of these networks."""
    address = ipaddress.ip_address(host)
    return any(address in ipaddress.ip_network(source) for source in sources)


def wide_codecs(trunks: Sequence[Trunk]) -> tuple[str, ...]:
    """What some of them speaks besides G.711."""
    spoken = {codec for trunk in trunks for codec in trunk.codecs}
    return tuple(codec for codec in CODECS if codec in spoken and codec not in ENCODINGS)


@functools.lru_cache(maxsize=ADDRESSES_REMEMBERED)
def ip_literal(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """`host` as an IP address, brackets taken off; None when it is a name."""
    try:
        return ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return None
