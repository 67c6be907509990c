"""Hosts and ports as operators write them: text in, value out, ValueError with words for people."""

import ipaddress
import re
from dataclasses import dataclass

STUN_PORT = 3478

_HOST_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")


@dataclass(frozen=True, slots=True)
class HostPort:
    """Where to listen or to send; `str()` gives it as it is written, IPv6 in brackets."""

    host: str
    "address or name, without brackets"
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Only this machine can reach it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host.lower() == "localhost"


def parse_host(text: str) -> str:
    """An IP address or a host name, without brackets."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        pass
    labels = text.removesuffix(".").split(".")
    numeric = labels[-1].isdigit()  # 1.2.3 and 999.1.1.1 are mistyped addresses, not names
    if numeric or len(text) > 253 or not all(_HOST_LABEL.fullmatch(label) for label in labels):
        raise ValueError(f"'{text}' is neither an IP address nor a host name")
    return text


def parse_port(text: str, lowest: int) -> int:
    """A port from `lowest` to 65535."""
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and lowest <= int(text) <= 65535):
        raise ValueError(f"port '{text}' is not a number from {lowest} to 65535")
    return int(text)


def split_host_port(text: str) -> tuple[str, str | None]:
    """`HOST`, `HOST:PORT`, `[IPv6]` or `[IPv6]:PORT` → host and port as written."""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")) or ":" not in host:
            raise ValueError(f"'{text}' is not an IPv6 address in brackets")
        return host, rest[1:] if rest else None
    if text.count(":") > 1:
        raise ValueError("an IPv6 address is written in brackets")
    host, colon, port = text.partition(":")
    return host, port if colon else None


def parse_listen_address(text: str) -> HostPort:
    """`HOST:PORT` to listen on; port 0 lets the system choose one."""
    host, port = split_host_port(text)
    if port is None:
        raise ValueError("the port is missing")
    if not host:
        raise ValueError("the host is missing")
    return HostPort(parse_host(host), parse_port(port, lowest=0))


def parse_advertised(text: str) -> HostPort:
    """`ADDRESS[:PORT]` that peers are told to reach us at; port 0 stands for the one that SIP listens on."""
    host, port = split_host_port(text)
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        raise ValueError(f"'{host}' is not an IP address, and a description of media needs one") from None
    if address.is_unspecified or address.is_multicast:
        raise ValueError(f"nobody can be reached at {address}")
    return HostPort(str(address), 0 if port is None else parse_port(port, lowest=1))


def parse_stun_server(text: str) -> HostPort:
    """`HOST[:PORT]` of a STUN server, at its usual port unless one is named (RFC 8489 §8)."""
    host, port = split_host_port(text)
    if not host:
        raise ValueError("the host is missing")
    return HostPort(parse_host(host), STUN_PORT if port is None else parse_port(port, lowest=1))
