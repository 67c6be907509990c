"""`[trunks.NAME]` with everything that can be said about a trunk."""

from dataclasses import replace

import pytest

from callwright.errors import SettingsError
from callwright.settings import HostPort, load
from callwright.settings_table import Table
from callwright.settings_trunk import TrunkUri, parse_trunk_uri, read_trunk, write_trunk

WHOLE = """
[trunks.main]
uri = "sip:trunk.example.com;transport=TLS"
username = "us"
password = "secret"
register = true
expires = 600
group = "carriers"
priority = 10
weight = 3
ca_file = "ca.pem"
certificate = "us.pem"
key = "us.key"
number_format = "national"
country = "sg"
identity = "p-asserted-identity"
privacy = "id"
from_user = "us"
from_domain = "example.com"
sources = ["192.0.2.7", "2001:DB8::7", "198.51.100.0/24", "203.0.113.9/32"]
advertise = "203.0.113.5:5070"
max_calls = 30
calls_per_second = 5
rewrite = ['^00(.*)$ -> 011\\1', '^9 -> ']
codecs = ["opus", "G.722", "PCMA"]
srtp = "Required"
symmetric_rtp = true

[trunks.main.headers]
X-Account = "12345"

[trunks.spare]
uri = "sip:192.0.2.9"
group = "carriers"
priority = 20
"""


def test_everything_about_a_trunk_is_read() -> None:
    main, spare = load(WHOLE, {}, {}).trunks
    assert main.address == TrunkUri("trunk.example.com", 5061, "TLS", port_named=False)
    assert (main.register_seconds, main.group, main.priority, main.weight) == (600, "carriers", 10, 3)
    assert (main.ca_file, main.certificate, main.key) == ("ca.pem", "us.pem", "us.key")
    assert (main.number_format, main.country, main.identity, main.privacy) == (
        "national", "SG", "P-Asserted-Identity", "id",
    )  # fmt: skip
    assert (main.from_user, main.from_domain, main.headers) == ("us", "example.com", (("X-Account", "12345"),))
    assert main.sources == ("192.0.2.7", "2001:db8::7", "198.51.100.0/24", "203.0.113.9")
    assert main.advertise == HostPort("203.0.113.5", 5070)
    assert (main.max_calls, main.calls_per_second) == (30, 5)
    assert (main.codecs, main.srtp, main.symmetric_rtp) == (("OPUS", "G722", "PCMA"), "required", True)
    assert (spare.codecs, spare.srtp, spare.symmetric_rtp) == (("PCMU", "PCMA"), "off", False)
    assert main.rewrite == (("^00(.*)$", "011\\1"), ("^9", ""))
    assert (main.options_seconds, spare.options_seconds) == (30, 30)
    assert (spare.register_seconds, spare.weight, spare.number_format) == (0, 1, "+E.164")


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("register = true", "'username' of .*registered"),
        ("codecs = ['G723']", "Did you mean 'G722'"),
        ("codecs = ['G722', 'g.722']", "stands there twice"),
        ("srtp = 'require'", "Did you mean 'required'"),
        ("srtp = true", "'srtp' of"),
        ("symmetric_rtp = 'yes'", "true or false"),
        ("register = 'yes'", "true or false"),
        ("priority = -1", "whole number from 0"),
        ("weight = 'x'", "whole number from 0"),
        ("group = 'a b'", "a group's name"),
        ("key = 'us.key'", "'certificate' of .*missing"),
        ("number_format = 'E164'", r"Did you mean 'E\.164'"),
        ("number_format = 'national'", "'country' of .*two letters"),
        ("identity = 'P-Asserted-Identiy'", "Did you mean 'P-Asserted-Identity'"),
        ("privacy = 'full'", "none of none, id"),
        ("sources = ['trunk.example.com']", "no IP address or network"),
        ("sources = ['192.0.2.7/24']", "bits behind its prefix"),
        ("sources = ['0.0.0.0/0']", "everybody"),
        ("advertise = 'us.example.com'", "not an IP address"),
        ("advertise = '0.0.0.0'", "nobody can be reached"),
        ("advertise = '203.0.113.5:0'", "port '0'"),
        ("stun = 'stun:3478:1'", "brackets"),
        ("stun = ':3478'", "host is missing"),
        ("advertise = '203.0.113.5'\nstun = 'stun.example.com'", "Keep one of them"),
        ("max_calls = true", "whole number"),
        ("rewrite = ['+65']", "between pattern and replacement"),
        ("rewrite = ['(65 -> x']", "no rule"),
        ("rewrite = ['65 -> \\1']", "no rule"),
        ("from_domain = 'a b'", "neither an IP address nor a host name"),
        ("headers = { Via = 'x' }", "'Via' is no header"),
        ("headers = { 'X A' = 'x' }", "'X A' is no header"),
        ('headers = { X-A = "a\\r\\nB: c" }', "not one line"),
    ],
)
def test_what_is_wrong_with_a_trunk_is_said(line: str, complaint: str) -> None:
    with pytest.raises(SettingsError, match=complaint):
        load(f"[trunks.a]\nuri = 'sip:192.0.2.1'\n{line}\n", {}, {})


@pytest.mark.parametrize(
    ("text", "uri"),
    [
        ("sip:a.example.com;transport=tcp", TrunkUri("a.example.com", 5060, "TCP", port_named=False)),
        ("sip:a.example.com:5070;transport=Udp", TrunkUri("a.example.com", 5070, "UDP")),
        ("sip:[2001:db8::1];transport=tls", TrunkUri("2001:db8::1", 5061, "TLS", port_named=False)),
        ("sip:[2001:db8::1]:5061;transport=tls", TrunkUri("2001:db8::1", 5061, "TLS")),
    ],
)
def test_a_trunk_uri_may_name_its_transport(text: str, uri: TrunkUri) -> None:
    assert parse_trunk_uri(text) == uri
    assert parse_trunk_uri(f"sip:{uri}") == uri


@pytest.mark.parametrize("text", [WHOLE, '[trunks.main]\nuri = "sip:192.0.2.1"\n', WHOLE.replace("register", "#")])
def test_a_trunk_that_is_written_reads_as_the_same(text: str) -> None:
    trunk = load(text, {}, {}).trunks[0]
    if trunk.group:
        assert "options_seconds" in write_trunk(trunk)
    read = read_trunk("main", Table(write_trunk(trunk), "main", "here"))
    assert read == replace(trunk, password=None)


def test_a_group_that_is_not_asked_stays_so() -> None:
    (trunk,) = load('[trunks.main]\nuri = "sip:192.0.2.1"\ngroup = "g"\noptions_seconds = 0\n', {}, {}).trunks
    assert read_trunk("main", Table(write_trunk(trunk), "main", "here")) == trunk
