"""The rule itself: which addresses and ports are reached."""

import re
from ipaddress import ip_address

import pytest

from callwright.egress.address import address_refusal, port_refusal

FORBIDDEN = re.findall(
    r"\S+",
    """
    0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.100.100.200 100.127.255.255 127.0.0.1 127.255.255.254
    169.254.0.1 169.254.169.254 169.254.170.2 172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.192 192.0.2.1
    192.88.99.1 192.168.0.1 198.18.0.1 198.19.255.255 198.51.100.7 203.0.113.9 224.0.0.1 239.255.255.250 240.0.0.1
    255.255.255.255 168.63.129.16 :: ::1 ::2 ::7f00:1 ::127.0.0.1 ::169.254.169.254 ::ffff:127.0.0.1
    ::ffff:8.8.8.8 ::ffff:0:127.0.0.1 64:ff9b::a9fe:a9fe 64:ff9b::808:808 64:ff9b:1::a00:1 64:ff9b:1:ffff::1
    100::1 2001::1 2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:2::1 2001:10::1 2001:20::1 2001:db8::1 2002:7f00:1::
    2002:a9fe:a9fe::1 2002:808:808::1 3fff::1 3fff:fff::1 4000::1 5f00::1 fc00::1 fd00:ec2::254 fdff::1 fe80::1
    fe80::1%eth0 febf::1 fec0::1 feff::1 ff02::1 ff0e::1 ff00:: 2606:4700::1%3
    """,
)
ALLOWED = re.findall(
    r"\S+",
    """
    8.8.8.8 1.1.1.1 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.1 169.253.255.255
    169.255.0.0 172.15.255.255 172.32.0.0 192.0.1.1 192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0
    223.255.255.255 168.63.129.15 168.63.129.17 2606:4700::1111 2001:200::1 2001:4860:4860::8888 2a00:1450::1
    2003::1 3ffe::1
    """,
)


@pytest.mark.parametrize("allow_loopback", [False, True])
@pytest.mark.parametrize("text", FORBIDDEN)
def test_an_address_that_is_not_public_is_refused(text: str, allow_loopback: bool) -> None:
    plain_loopback = text in ("127.0.0.1", "127.255.255.254", "::1")
    reason = address_refusal(ip_address(text), allow_loopback=allow_loopback)
    assert (reason is None) == (plain_loopback and allow_loopback)


@pytest.mark.parametrize("text", ALLOWED)
def test_a_public_address_is_allowed(text: str) -> None:
    assert address_refusal(ip_address(text), allow_loopback=False) is None


@pytest.mark.parametrize("port", [80, 443, 1024, 8080, 8443, 49152, 65535])
def test_a_web_port_or_a_high_port_is_allowed(port: int) -> None:
    assert port_refusal(port) is None


@pytest.mark.parametrize(
    "port", [0, 1, 22, 25, 53, 110, 389, 445, 587, 1023, 3306, 5060, 5432, 6000, 6379, 6667, 11211]
)
def test_a_port_of_another_protocol_is_refused(port: int) -> None:
    assert port_refusal(port) is not None
