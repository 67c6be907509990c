"""Which addresses and ports callwright connects to on behalf of a customer.

An own list, because `ipaddress.is_global` lets through what must not be reached: the Azure host agent 168.63.129.16,
addresses that carry another address inside (IPv4-mapped and -compatible, NAT64, 6to4, Teredo) and multicast. IPv4 is
allowed unless listed (RFC 6890 and its registry); IPv6 is allowed only inside 2000::/3, the global unicast block
(RFC 4291 §2.4), minus what is listed there.
"""

from collections.abc import Collection
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Address = IPv4Address | IPv6Address

_FORBIDDEN_V4 = tuple(
    (IPv4Network(network), reason)
    for network, reason in (
        ("0.0.0.0/8", "an unspecified address"),
        ("10.0.0.0/8", "a private address"),
        ("100.64.0.0/10", "a shared carrier-grade NAT address"),
        ("127.0.0.0/8", "a loopback address"),
        ("169.254.0.0/16", "a link-local address"),
        ("172.16.0.0/12", "a private address"),
        ("192.0.0.0/24", "a reserved address"),
        ("192.0.2.0/24", "a documentation address"),
        ("192.88.99.0/24", "a 6to4 relay address"),
        ("192.168.0.0/16", "a private address"),
        ("198.18.0.0/15", "a benchmarking address"),
        ("198.51.100.0/24", "a documentation address"),
        ("203.0.113.0/24", "a documentation address"),
        ("224.0.0.0/4", "a multicast address"),
        ("240.0.0.0/4", "a reserved address"),
        ("168.63.129.16/32", "a cloud provider's internal address"),
    )
)
_FORBIDDEN_V6 = tuple(
    (IPv6Network(network), reason)
    for network, reason in (
        ("::/128", "an unspecified address"),
        ("::1/128", "a loopback address"),
        ("::ffff:0:0/96", "an IPv4-mapped address"),
        ("::/96", "an IPv4-compatible address"),
        ("64:ff9b::/96", "a NAT64 address"),
        ("64:ff9b:1::/48", "a local NAT64 address"),
        ("2001::/32", "a Teredo address"),
        ("2001::/23", "a reserved address"),
        ("2001:db8::/32", "a documentation address"),
        ("2002::/16", "a 6to4 address"),
        ("3fff::/20", "a documentation address"),
        ("fc00::/7", "a private address"),
        ("fe80::/10", "a link-local address"),
        ("fec0::/10", "a site-local address"),
        ("ff00::/8", "a multicast address"),
    )
)
_GLOBAL_UNICAST_V6 = IPv6Network("2000::/3")
_LOOPBACK_V4 = IPv4Network("127.0.0.0/8")
_LOOPBACK_V6 = IPv6Address("::1")

_WELL_KNOWN_END = 1024
_WEB_PORTS = (80, 443)
# Ports above the well-known ones where an HTTP request could pass for another protocol's commands, or reach a store.
_FOREIGN_PORTS = frozenset(
    (
        *(1719, 1720, 1723, 2049, 2375, 2376, 2379, 3306, 3659, 4045, 4190, 5060, 5061, 5432),
        *(6379, 6566, 6679, 6697, 9200, 10080, 11211, 27017),
        *range(6000, 6064),
        *range(6660, 6670),
    )
)


def address_refusal(address: Address, *, allow_loopback: bool) -> str | None:
    """Why `address` may not be reached ("a private address"), or None when it may.

    `allow_loopback` admits 127.0.0.0/8 and ::1 written plainly, and nothing else.
    """
    if isinstance(address, IPv4Address):
        if allow_loopback and address in _LOOPBACK_V4:
            return None
        return next((reason for network, reason in _FORBIDDEN_V4 if address in network), None)
    if address.scope_id is not None:
        return "a link-local address"
    if allow_loopback and address == _LOOPBACK_V6:
        return None
    for network, reason in _FORBIDDEN_V6:
        if address in network:
            return reason
    return None if address in _GLOBAL_UNICAST_V6 else "a reserved address"


def port_refusal(port: int) -> str | None:
    """Why `port` may not be reached, or None: 80, 443, and from 1024 on all that do not speak something else."""
    if not 0 < port < 65536:
        return "no TCP port"
    if port in _WEB_PORTS or (port >= _WELL_KNOWN_END and port not in _FOREIGN_PORTS):
        return None
    return "a port that belongs to another protocol"


def other_port_refusal(port: int, own_ports: Collection[int]) -> str | None:
    """Why `port` may not be reached with a protocol that is not HTTP, or None.

    Below 1024 only the protocol's own ports; above, what HTTP may reach.
    """
    if port in own_ports:
        return None
    return "a port that belongs to another protocol" if 0 < port < _WELL_KNOWN_END else port_refusal(port)
