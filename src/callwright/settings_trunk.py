"""`[trunks.NAME]`: a carrier or PBX that takes our calls, as an operator describes it."""

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass, fields

from callwright.errors import SettingsError
from callwright.settings_address import (
    HostPort,
    parse_advertised,
    parse_host,
    parse_port,
    parse_stun_server,
    split_host_port,
)
from callwright.settings_table import Secret, Table, did_you_mean

CODECS = ("PCMU", "PCMA", "G722", "OPUS")
USUAL_CODECS = ("PCMU", "PCMA")
SRTP = ("off", "optional", "required")
TRANSPORTS = ("UDP", "TCP", "TLS")
SIP_PORT, SIPS_PORT = 5060, 5061
NUMBER_FORMATS = ("+E.164", "E.164", "national")
IDENTITY_HEADERS = ("From", "P-Asserted-Identity", "P-Preferred-Identity", "Remote-Party-ID")
PRIVACIES = ("none", "id", "user", "header", "session", "critical")
"""RFC 3323 §4.2, RFC 3325 §9.3."""
ARROW = " -> "

_NAME = re.compile(r"[A-Za-z0-9\-._]{1,50}")
_COUNTRY = re.compile(r"[A-Z]{2}")
_HEADER = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]{1,64}")
_OURS = frozenset(
    (
        "via", "v", "from", "f", "to", "t", "call-id", "i", "cseq", "contact", "m", "content-length", "l",
        "content-type", "c", "max-forwards", "route", "record-route", "authorization", "proxy-authorization", "allow",
        "require", "supported", "k", "session-expires", "x", "min-se",
    )
)  # fmt: skip
"""Headers that callwright writes itself: another line of them would break its calls."""


@dataclass(frozen=True, slots=True)
class TrunkUri(HostPort):
    """`sip:HOST[:PORT][;transport=udp|tcp|tls]` (RFC 3261 §19.1)."""

    transport: str = ""
    "UDP, TCP or TLS; empty: the domain's NAPTR and SRV records choose, else UDP (RFC 3263 §4.1)"
    port_named: bool = True
    "False: the port is the usual one, and SRV records may name another (RFC 3263 §4.2)"

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = f":{self.port}" if self.port_named else ""
        return host + port + (f";transport={self.transport.lower()}" if self.transport else "")


@dataclass(frozen=True, slots=True)
class Trunk:
    """A carrier that takes our calls: `[trunks.NAME]`, or the setting `trunk`."""

    name: str
    address: TrunkUri
    "from its `uri`"
    username: str | None = None
    password: Secret | None = None
    codecs: tuple[str, ...] = USUAL_CODECS
    "RTP encoding names in the order offered"
    srtp: str = SRTP[0]
    "whether sound is encrypted (RFC 3711, keys by RFC 4568): never, if the trunk can, or always"
    symmetric_rtp: bool = False
    "send to where the trunk's sound comes from, for one behind NAT that describes itself wrongly"
    register_seconds: int = 0
    "register there for so long at a time (RFC 3261 §10); 0: the trunk knows where we are"
    group: str = ""
    "trunks of one group take each other's calls; empty: it stands alone"
    priority: int = 0
    "within the group; lower ones are tried first"
    weight: int = 1
    "share of the calls among those of one priority; 0: only when the others do not take it"
    options_seconds: int = 0
    "between two OPTIONS that ask whether it is there; 0: it is not asked"
    ca_file: str = ""
    "PEM file of the authority that signs its certificate; empty: the system's"
    certificate: str = ""
    "PEM file of our client certificate; empty: none is shown"
    key: str = ""
    number_format: str = NUMBER_FORMATS[0]
    country: str = ""
    "whose national numbers are written nationally"
    identity: str = IDENTITY_HEADERS[0]
    "which header carries the caller's number"
    privacy: str = "none"
    from_user: str = ""
    "user part of From when that is to be an account and not the caller's number"
    from_domain: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    "further headers of its INVITEs"
    sources: tuple[str, ...] = ()
    "IP addresses and networks (192.0.2.0/24) besides its own that it sends from"
    max_calls: int = 0
    "at the same time; 0: no limit"
    calls_per_second: int = 0
    "new calls; 0: no limit"
    rewrite: tuple[tuple[str, str], ...] = ()
    "(pattern, replacement) for called numbers as they would be sent; the first that matches counts"
    rewrite_caller: tuple[tuple[str, str], ...] = ()
    "likewise for the caller's number"
    advertise: HostPort | None = None
    "the address that it reaches us at; port 0: the one that SIP listens on. None: as for all trunks"
    stun: HostPort | None = None
    "who says which address that is"

    @property
    def uri(self) -> str:
        """The SIP URI, such as sip:192.0.2.1:5060."""
        return f"sip:{self.address}"


def parse_trunk_uri(text: str) -> TrunkUri:
    """Read a trunk's URI; ValueError says in words what is wrong with it."""
    scheme, colon, rest = text.partition(":")
    if not colon or scheme.lower() != "sip":
        raise ValueError(f"'{text}' does not begin with 'sip:'")
    if "@" in rest:
        raise ValueError("a trunk has no user part; username and password have keys of their own in [trunks.NAME]")
    if "?" in rest:
        raise ValueError("headers have a key of their own in [trunks.NAME]")
    rest, *parameters = rest.split(";")
    transport = ""
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.lower() != "transport" or value.upper() not in TRANSPORTS:
            raise ValueError(f"';{parameter}' is no parameter of a trunk; ';transport=' is udp, tcp or tls")
        transport = value.upper()
    host, port = split_host_port(rest)
    if not host:
        raise ValueError("the host is missing")
    usual = SIPS_PORT if transport == "TLS" else SIP_PORT
    named = usual if port is None else parse_port(port, lowest=1)
    return TrunkUri(parse_host(host), named, transport, port is not None)


def read_trunk(name: str, table: Table) -> Trunk:
    """The trunk that a table describes; SettingsError says what is wrong with it."""
    if not _NAME.fullmatch(name):
        raise SettingsError(f"{table.place}: a trunk's name is 1 to 50 letters, digits, '-', '.' or '_'")
    table.allow(
        "uri", "username", "password", "codecs", "register", "expires", "group", "priority", "weight",
        "options_seconds", "ca_file", "certificate", "key", "number_format", "country", "identity", "privacy",
        "from_user", "from_domain", "headers", "sources", "max_calls", "calls_per_second", "rewrite", "rewrite_caller",
        "advertise", "stun", "srtp", "symmetric_rtp",
    )  # fmt: skip
    address = _address(table)
    username, password = table.text("username"), table.text("password")
    if password is not None and username is None:
        raise table.error("username", "it is missing, and there is a password. Add the user name the carrier gave you")
    register = table.truth("register")
    if register and username is None:
        raise table.error("username", "it is missing, and the trunk is registered with. Add the account's name")
    group = table.text("group") or ""
    if group and not _NAME.fullmatch(group):
        raise table.error("group", "a group's name is 1 to 50 letters, digits, '-', '.' or '_'")
    number_format = _choice(table, "number_format", NUMBER_FORMATS)
    country = (table.text("country") or "").strip().upper()
    if number_format == "national" and not _COUNTRY.fullmatch(country):
        raise table.error("country", 'national numbers need it. Write two letters, for example country = "SG"')
    certificate, key = table.text("certificate") or "", table.text("key") or ""
    if key and not certificate:
        raise table.error("certificate", "it is missing, and there is a key for it")
    advertise, stun = _place(table, "advertise", parse_advertised), _place(table, "stun", parse_stun_server)
    if advertise is not None and stun is not None:
        raise table.error("stun", "it and 'advertise' both say which address we are reached at. Keep one of them")
    return Trunk(
        name,
        address,
        username,
        None if password is None else Secret(password),
        _codecs(table),
        srtp=_choice(table, "srtp", SRTP),
        symmetric_rtp=table.truth("symmetric_rtp"),
        register_seconds=table.whole_number("expires", 60, 86_400, 3600) if register else 0,
        group=group,
        priority=table.whole_number("priority", 0, 65_535, 0),
        weight=table.whole_number("weight", 0, 65_535, 1),
        options_seconds=table.whole_number("options_seconds", 0, 3600, 30 if group else 0),
        ca_file=table.text("ca_file") or "",
        certificate=certificate,
        key=key,
        number_format=number_format,
        country=country,
        identity=_choice(table, "identity", IDENTITY_HEADERS),
        privacy=_choice(table, "privacy", PRIVACIES),
        from_user=table.text("from_user") or "",
        from_domain=_domain(table),
        headers=_headers(table),
        sources=_sources(table),
        max_calls=table.whole_number("max_calls", 0, 100_000, 0),
        calls_per_second=table.whole_number("calls_per_second", 0, 10_000, 0),
        rewrite=_rules(table, "rewrite"),
        rewrite_caller=_rules(table, "rewrite_caller"),
        advertise=advertise,
        stun=stun,
    )


def write_trunk(trunk: Trunk) -> dict[str, object]:
    """The table that describes a trunk, without what is as usual, and without its password."""
    table: dict[str, object] = {"uri": trunk.uri}
    for one in fields(Trunk):
        value = getattr(trunk, one.name)
        if one.name in ("name", "address", "password") or value == one.default:
            continue
        match one.name:
            case "register_seconds":
                table |= {"register": True, "expires": value}
            case "headers":
                table["headers"] = dict(value)
            case "rewrite" | "rewrite_caller":
                table[one.name] = [ARROW.join(rule) for rule in value]
            case "advertise":
                table["advertise"] = str(value) if value.port else value.host
            case "stun":
                table["stun"] = str(value)
            case _:
                table[one.name] = list(value) if isinstance(value, tuple) else value
    if trunk.group:
        table["options_seconds"] = trunk.options_seconds  # in a group another number is usual
    return table


def _address(table: Table) -> TrunkUri:
    uri = table.text("uri")
    if uri is None:
        raise table.error("uri", 'it is missing. Write for example uri = "sip:192.0.2.1:5060"')
    try:
        return parse_trunk_uri(uri.strip())
    except ValueError as error:
        raise table.error("uri", f"{error}. Write for example sip:192.0.2.1:5060") from error


def _codecs(table: Table) -> tuple[str, ...]:
    codecs = tuple(codec.upper().replace(".", "") for codec in table.texts("codecs") or USUAL_CODECS)
    for codec in codecs:
        if codec not in CODECS:
            raise table.error("codecs", f"'{codec}' is none of {', '.join(CODECS)}{did_you_mean(codec, CODECS)}")
    if len(set(codecs)) < len(codecs):
        raise table.error("codecs", "a codec stands there twice")
    return codecs


def _choice(table: Table, key: str, choices: tuple[str, ...]) -> str:
    text = (table.text(key) or choices[0]).strip()
    for choice in choices:
        if choice.lower() == text.lower():
            return choice
    raise table.error(key, f"'{text}' is none of {', '.join(choices)}{did_you_mean(text, choices)}")


def _domain(table: Table) -> str:
    text = table.text("from_domain")
    try:
        return "" if text is None else parse_host(text.strip())
    except ValueError as error:
        raise table.error("from_domain", str(error)) from error


def _sources(table: Table) -> tuple[str, ...]:
    sources = []
    for text in table.texts("sources") or ():
        try:
            network = ipaddress.ip_network(text.strip())
        except ValueError as error:
            why = "it has bits behind its prefix" if "host bits" in str(error) else "it is no IP address or network"
            raise table.error("sources", f"'{text}': {why}. Write for example 192.0.2.1 or 192.0.2.0/24") from None
        if network.prefixlen == 0:
            raise table.error("sources", f"'{text}' is everybody, and everybody could call at your cost")
        sources.append(str(network.network_address) if network.num_addresses == 1 else str(network))
    return tuple(sources)


def _place(table: Table, key: str, parse: Callable[[str], HostPort]) -> HostPort | None:
    text = table.text(key)
    try:
        return None if text is None else parse(text.strip())
    except ValueError as error:
        raise table.error(key, str(error)) from error


def _headers(table: Table) -> tuple[tuple[str, str], ...]:
    headers = table.named_texts("headers") or {}
    for name, value in headers.items():
        if not _HEADER.fullmatch(name) or name.lower() in _OURS:
            raise table.error("headers", f"'{name}' is no header that a trunk may be given")
        if not value.isprintable() or len(value) > 1000:
            raise table.error("headers", f"the value of '{name}' is not one line of up to 1000 characters")
    return tuple(headers.items())


def _rules(table: Table, key: str) -> tuple[tuple[str, str], ...]:
    rules = []
    for text in table.texts(key) or ():
        pattern, arrow, replacement = text.partition(ARROW)
        if not arrow:
            raise table.error(key, f"'{text}' has no '{ARROW}' between pattern and replacement")
        try:
            re.compile(pattern).sub(replacement, "")
            re.compile(f"{pattern}|").sub(replacement, "")  # the replacement's groups exist
        except (re.error, IndexError) as error:
            raise table.error(key, f"'{text}' is no rule: {error}") from error
        rules.append((pattern, replacement))
    return tuple(rules)
