"""Address literals, each read once for all the times that calls ask: a peer's stands in every step of a connect."""

import functools
import ipaddress
from typing import Final

ADDRESSES_REMEMBERED: Final = 4096


@functools.lru_cache(maxsize=ADDRESSES_REMEMBERED)
def ip_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The address; ValueError when the text is none."""
    return ipaddress.ip_address(text)


@functools.lru_cache(maxsize=ADDRESSES_REMEMBERED)
def canonical(text: str) -> str:
    """The address as sources of packets are written; ValueError when the text is none."""
    return str(ip_address(text))
