"""What stands inside From, To, Contact, Route, Via and CSeq: SIP URIs, name-addr, hops (RFC 3261 §19.1, §20, §25).

Parsed parts keep the escapes they came with, so that a peer's URI goes back to it as it was sent; `decoded_user` and
`unquote` give the text to people. All of them raise SipSyntaxError.
"""

import ipaddress
import re
from dataclasses import dataclass, field
from functools import lru_cache

from callwright.errors import SipSyntaxError
from callwright.sip.lexis import (
    Params,
    after_quoted,
    decimal,
    is_token,
    params_text,
    parse_params,
    quote,
    split_list,
    unquote,
)

MOST_CSEQ = 2**31 - 1
"""RFC 3261 §8.1.1.5: the sequence number is less than 2**31."""
MOST_PORT = 65_535
_MOST_REMEMBERED_CHARS = 256
BRANCH_COOKIE = "z9hG4bK"
"""A branch that starts with it is unique in space and time (RFC 3261 §8.1.1.7)."""

# "#" is not in the RFC's list; phones dial it unescaped all the same.
_USER = re.compile(r"(?:[A-Za-z0-9\-_.!~*'()&=+$,;?/#]|%[0-9A-Fa-f]{2})+")
_PASSWORD = re.compile(r"(?:[A-Za-z0-9\-_.!~*'()&=+$,]|%[0-9A-Fa-f]{2})*")
# "=" is not in the RFC's list either; opaque values made of base64 carry it.
_URI_PARAM = re.compile(
    r"((?:[A-Za-z0-9\-_.!~*'()\[\]/:&+$]|%[0-9A-Fa-f]{2})+)(?:=((?:[A-Za-z0-9\-_.!~*'()\[\]/:&+$=]|%[0-9A-Fa-f]{2})+))?"
)
_URI_HEADER = re.compile(
    r"((?:[A-Za-z0-9\-_.!~*'()\[\]/?:+$]|%[0-9A-Fa-f]{2})+)=((?:[A-Za-z0-9\-_.!~*'()\[\]/?:+$]|%[0-9A-Fa-f]{2})*)"
)
# Underscores are not in the RFC's list; names in private networks have them.
_HOSTNAME = re.compile(r"(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?\.)*[A-Za-z](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?\.?")
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+\-.]*:")
_ABSOLUTE_URI = re.compile(r"[A-Za-z][A-Za-z0-9+\-.]*:(?:[A-Za-z0-9\-_.!~*'()%;/?:@&=+$,#\[\]])+")
_ESCAPE = re.compile(r"((?:%[0-9A-Fa-f]{2})+)")
_UNSAFE_IN_USER = re.compile(r"[^A-Za-z0-9\-_.!~*'()&=+$,;?/]")
_UNSUPPORTED_URI_SCHEME = 416


def unescape(text: str) -> str:
    """`%41` → `A` (RFC 3261 §19.1.2); bytes that are not UTF-8 become U+FFFD."""
    if "%" not in text:
        return text
    return _ESCAPE.sub(lambda run: bytes.fromhex(run.group().replace("%", "")).decode("utf-8", "replace"), text)


def escape_user(text: str) -> str:
    """Any text as the user part of a SIP URI."""
    return _UNSAFE_IN_USER.sub(lambda one: "".join(f"%{byte:02X}" for byte in one.group().encode()), text)


def parse_host(text: str) -> str:
    """A host name, IPv4 address or bracketed IPv6 address; brackets are taken off."""
    if text[:1] == "[":
        if text[-1:] != "]":
            raise SipSyntaxError(f"host {text[:80]!r}")
        text = text[1:-1]
        # A zone (fe80::1%eth0) means nothing on another machine.
        if "%" in text or not is_ipv6(text):
            raise SipSyntaxError(f"host {text[:80]!r} is not an IPv6 address")
        return text
    if len(text) > 255 or not (_HOSTNAME.fullmatch(text) or _IPV4.fullmatch(text)):
        raise SipSyntaxError(f"host {text[:80]!r}")
    return text


def is_ipv6(text: str) -> bool:
    """Whether the text is an IPv6 address without brackets."""
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def parse_host_port(text: str) -> tuple[str, int | None]:
    """`host`, `host:port`, `[v6]`, `[v6]:port`; the host without brackets, None when no port is named."""
    end = text.find("]") + 1 if text[:1] == "[" else text.find(":")
    if end <= 0:
        end = len(text)
    host, rest = text[:end].rstrip(), text[end:].lstrip()
    if not rest:
        return parse_host(host), None
    port = decimal(rest[1:].lstrip(), MOST_PORT) if rest[0] == ":" else None
    if not port:
        raise SipSyntaxError(f"port in {text[:80]!r}")
    return parse_host(host), port


def host_port_text(host: str, port: int | None) -> str:
    """`host:port` with brackets around IPv6; without a port when it is None."""
    if ":" in host:
        host = f"[{host}]"
    return host if port is None else f"{host}:{port}"


@dataclass(frozen=True, slots=True)
class SipUri:
    """A `sip:` or `sips:` URI (RFC 3261 §19.1). `==` compares the text's parts; `matches` compares as §19.1.4 says."""

    host: str
    user: str | None = None
    """With its escapes; `decoded_user` without."""
    port: int | None = None
    params: Params = field(default_factory=dict)
    password: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    scheme: str = "sip"

    @classmethod
    def parse(cls, text: str) -> "SipUri":
        """Read one; SipSyntaxError 416 when the scheme is another (RFC 3261 §8.2.2.1), 400 when it is broken."""
        return _read_uri(text) if len(text) <= _MOST_REMEMBERED_CHARS else cls._read(text)

    @classmethod
    def _read(cls, text: str) -> "SipUri":
        scheme, colon, rest = text.partition(":")
        scheme = scheme.lower()
        if scheme not in ("sip", "sips"):
            known = colon and _SCHEME.match(text)
            raise SipSyntaxError(f"not a SIP URI: {text[:80]!r}", _UNSUPPORTED_URI_SCHEME if known else 400)
        user = password = None
        userinfo, at, after = rest.partition("@")
        if at:
            user, has_password, secret = userinfo.partition(":")
            password = secret if has_password else None
            if not _USER.fullmatch(user) or (password is not None and not _PASSWORD.fullmatch(password)):
                raise SipSyntaxError("user part of a SIP URI")
            rest = after
        rest, question, header_text = rest.partition("?")
        host_port, semicolon, param_text = rest.partition(";")
        if host_port.split() != [host_port]:  # spaces are for Via only
            raise SipSyntaxError(f"host {host_port[:80]!r}")
        host, port = parse_host_port(host_port)
        params = _uri_params(param_text) if semicolon else {}
        headers = _uri_headers(header_text) if question else ()
        return cls(host, user, port, params, password, headers, scheme)

    def __str__(self) -> str:
        userinfo = "" if self.user is None else self.user + ("" if self.password is None else f":{self.password}") + "@"
        headers = "?" + "&".join([f"{name}={value}" for name, value in self.headers]) if self.headers else ""
        where = host_port_text(self.host, self.port)
        return f"{self.scheme}:{userinfo}{where}{params_text(self.params)}{headers}"

    @property
    def decoded_user(self) -> str:
        """The user part as text, escapes undone; "" when there is none."""
        return unescape(self.user or "")

    @property
    def transport(self) -> str | None:
        """The `transport` parameter in upper case, None when it is not given."""
        value = self.params.get("transport")
        return value.upper() if value else None

    def matches(self, other: "SipUri") -> bool:
        """Whether both name the same resource (RFC 3261 §19.1.4)."""
        if (self.scheme, self.port, self.host.lower()) != (other.scheme, other.port, other.host.lower()):
            return False
        if (_decoded(self.user), _decoded(self.password)) != (_decoded(other.user), _decoded(other.password)):
            return False
        # These count even when they name the default; any other parameter only when both URIs have it.
        for name in {"user", "ttl", "method", "maddr", "transport"} | (self.params.keys() & other.params.keys()):
            if (name in self.params) != (name in other.params):
                return False
            if (_decoded(self.params.get(name)) or "").lower() != (_decoded(other.params.get(name)) or "").lower():
                return False
        return _header_set(self) == _header_set(other)


def _decoded(text: str | None) -> str | None:
    return None if text is None else unescape(text)


def _header_set(uri: SipUri) -> list[tuple[str, str]]:
    return sorted((unescape(name).lower(), unescape(value)) for name, value in uri.headers)


def _uri_params(text: str) -> Params:
    params: Params = {}
    for part in text.split(";"):
        found = _URI_PARAM.fullmatch(part)
        if found is None:
            raise SipSyntaxError(f"URI parameter {part[:40]!r}")
        name = found.group(1).lower()
        if name in params:
            raise SipSyntaxError(f"URI parameter {name[:40]!r} stands twice")
        params[name] = found.group(2)
    return params


def _uri_headers(text: str) -> tuple[tuple[str, str], ...]:
    headers = []
    for part in text.split("&"):
        found = _URI_HEADER.fullmatch(part)
        if found is None:
            raise SipSyntaxError(f"URI header {part[:40]!r}")
        headers.append((found.group(1), found.group(2)))
    return tuple(headers)


@dataclass(frozen=True, slots=True)
class NameAddr:
    """A value of From, To, Contact, Route, P-Asserted-Identity: `"Ann" <sip:ann@example.com>;tag=1` (§20.10)."""

    uri: str
    """As written, of any scheme; `sip_uri` reads it."""
    display: str = ""
    """Without quotes."""
    params: Params = field(default_factory=dict)
    """The header's own parameters (`tag`, `expires`, `q`), not the URI's."""

    @classmethod
    def parse(cls, text: str) -> "NameAddr":
        """Read one value; without `<>` every ";" parameter is the header's, and "?" or "," is an error (§20.10)."""
        return _read_name_addr(text) if len(text) <= _MOST_REMEMBERED_CHARS else cls._read(text)

    @classmethod
    def _read(cls, text: str) -> "NameAddr":
        text = text.strip()
        display = ""
        if text[:1] == '"':
            end = after_quoted(text, 0)
            display = unquote(text[:end])
            text = text[end:].lstrip()
            if text[:1] != "<":
                raise SipSyntaxError("no '<' after the display name")
        before, opened, rest = text.partition("<")
        if not opened or ";" in before:  # a later "<" can only belong to a parameter
            uri, semicolon, param_text = text.partition(";")
            uri = uri.rstrip()
            if "?" in uri or "," in uri:
                raise SipSyntaxError("a URI with '?' or ',' must stand in '<>'")
            return cls(_checked_uri(uri), "", parse_params(semicolon + param_text))
        before = before.strip()
        if before:
            # The RFC wants tokens; accents and dots from real phones are harmless, separators are not.
            if display or not set(before).isdisjoint('",;>@:\\') or not before.replace("\t", " ").isprintable():
                raise SipSyntaxError(f"display name {before[:40]!r} needs quotes")
            display = " ".join(before.split())
        uri, closed, param_text = rest.partition(">")
        if not closed:
            raise SipSyntaxError("'<' is never closed")
        return cls(_checked_uri(uri), display, parse_params(param_text.strip()))

    def __str__(self) -> str:
        display = f"{quote(self.display)} " if self.display else ""
        return f"{display}<{self.uri}>{params_text(self.params)}"

    @property
    def sip_uri(self) -> SipUri:
        """The URI's parts; SipSyntaxError 416 when it is of another scheme."""
        return SipUri.parse(self.uri)

    @property
    def tag(self) -> str | None:
        """The `tag` parameter."""
        return self.params.get("tag")

    def with_tag(self, tag: str) -> "NameAddr":
        """The same with that tag."""
        return NameAddr(self.uri, self.display, {**self.params, "tag": tag})


def _checked_uri(uri: str) -> str:
    if not _ABSOLUTE_URI.fullmatch(uri):
        raise SipSyntaxError(f"not a URI: {uri[:80]!r}")
    if uri[:4].lower() in ("sip:", "sips"):
        SipUri.parse(uri)
    return uri


@dataclass(frozen=True, slots=True)
class Via:
    """One hop a request took: `SIP/2.0/UDP host:port;branch=…` (RFC 3261 §20.42, rport RFC 3581)."""

    transport: str
    """In upper case."""
    host: str
    port: int | None = None
    params: Params = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> "Via":
        """Read one value (one hop, no commas)."""
        return _read_via(text) if len(text) <= _MOST_REMEMBERED_CHARS else cls._read(text)

    @classmethod
    def _read(cls, text: str) -> "Via":
        hop, semicolon, param_text = text.partition(";")
        protocol = hop.split("/")
        if len(protocol) != 3 or protocol[0].strip().upper() != "SIP" or protocol[1].strip() != "2.0":
            raise SipSyntaxError(f"not a Via: {text[:80]!r}")
        words = protocol[2].split(None, 1)
        if len(words) != 2 or not is_token(words[0]):
            raise SipSyntaxError(f"not a Via: {text[:80]!r}")
        host, port = parse_host_port(words[1].strip())
        return cls(words[0].upper(), host, port, parse_params(semicolon + param_text))

    def __str__(self) -> str:
        return f"SIP/2.0/{self.transport} {host_port_text(self.host, self.port)}{params_text(self.params)}"

    @property
    def branch(self) -> str | None:
        """The `branch` parameter; None when absent or without a value."""
        return self.params.get("branch")

    @property
    def has_unique_branch(self) -> bool:
        """Whether the branch alone names the transaction (RFC 3261 §17.2.3); a bare cookie does not."""
        branch = self.branch or ""
        return len(branch) > len(BRANCH_COOKIE) and branch.lower().startswith(BRANCH_COOKIE.lower())

    @property
    def received(self) -> str | None:
        """The address the next hop saw, without brackets; None when it is not noted."""
        value = self.params.get("received")
        return value.strip("[]") if value else None

    @property
    def wants_rport(self) -> bool:
        """Whether the sender asks to be answered at the port it sent from (RFC 3581)."""
        return "rport" in self.params

    @property
    def rport(self) -> int | None:
        """The port the next hop saw; None when it is not noted or not a port."""
        return decimal(self.params.get("rport") or "", MOST_PORT) or None


def parse_vias(values: list[str]) -> list[Via]:
    """Every hop of the Via lines, topmost first; SipSyntaxError when there is none or one is broken."""
    vias = [Via.parse(hop) for value in values for hop in (split_list(value, ",") if "," in value else [value])]
    if not vias:
        raise SipSyntaxError("no Via")
    return vias


@dataclass(frozen=True, slots=True)
class CSeq:
    """`314159 INVITE` (RFC 3261 §20.16)."""

    number: int
    method: str

    @classmethod
    def parse(cls, text: str) -> "CSeq":
        """Read it; the number must be below 2**31."""
        return _read_cseq(text) if len(text) <= _MOST_REMEMBERED_CHARS else cls._read(text)

    @classmethod
    def _read(cls, text: str) -> "CSeq":
        words = text.split()
        number = decimal(words[0], MOST_CSEQ) if len(words) == 2 else None
        if number is None or not is_token(words[1]):
            raise SipSyntaxError(f"CSeq {text[:40]!r}")
        return cls(number, words[1])

    def __str__(self) -> str:
        return f"{self.number} {self.method}"


# The same few texts come in every message of a call and are asked for by several readers, so they are read once. What
# comes out is shared: nobody changes its `params`.


@lru_cache(maxsize=4096)
def _read_uri(text: str) -> SipUri:
    return SipUri._read(text)  # noqa: SLF001  # the half of `parse` that does the work


@lru_cache(maxsize=4096)
def _read_name_addr(text: str) -> NameAddr:
    return NameAddr._read(text)  # noqa: SLF001  # likewise


@lru_cache(maxsize=1024)
def _read_via(text: str) -> Via:
    return Via._read(text)  # noqa: SLF001  # likewise


@lru_cache(maxsize=256)
def _read_cseq(text: str) -> CSeq:
    return CSeq._read(text)  # noqa: SLF001  # likewise
