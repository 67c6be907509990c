"""How URLs are read: what is sent as it is written, what is brought into order, what is refused."""

import subprocess
import sys

import pytest

from callwright.egress.target import checked_target, redirected
from callwright.errors import EgressRefused


@pytest.mark.parametrize(
    ("text", "host", "path"),
    [
        ("http://files.example.com", "files.example.com", "/"),
        ("HTTP://FILES.Example.com:80/", "files.example.com", "/"),
        ("https://files.example.com:443/a", "files.example.com", "/a"),
        ("https://files.example.com:8443/a", "files.example.com:8443", "/a"),
        ("http://files.example.com:/a", "files.example.com", "/a"),
        ("http://under_score.example.com/", "under_score.example.com", "/"),
        ("http://[2001:DB8::1]:8080/", "[2001:db8::1]:8080", "/"),
        ("http://bücher.example.com/", "xn--bcher-kva.example.com", "/"),
        ("http://faß.example.com/", "xn--fa-hia.example.com", "/"),
        ("http://example.com/a/./b/../c", "example.com", "/a/c"),
        ("http://example.com/../../a/..", "example.com", "/"),
        ("http://example.com/a/.", "example.com", "/a/"),
        ("http://example.com/.well-known/x..y", "example.com", "/.well-known/x..y"),
        ("http://example.com?a=b", "example.com", "/?a=b"),
        ("http://example.com/a?b=%2F&c={x}|'~;/?:@!$&()*+,", "example.com", "/a?b=%2F&c={x}|'~;/?:@!$&()*+,"),
        ("http://example.com/a%3Ab|[]'~;:@!$&()*+,=", "example.com", "/a%3Ab|[]'~;:@!$&()*+,="),
        ('http://example.com/ü"<>`{}?ü"<>', "example.com", "/%C3%BC%22%3C%3E%60%7B%7D?%C3%BC%22%3C%3E"),
        ("http://example.com/a#b?c", "example.com", "/a"),
    ],
)
def test_a_url_is_read_once_and_sent_so(text: str, host: str, path: str) -> None:
    target = checked_target(text)
    assert (target.host_header, target.path) == (host, path)
    assert target.origin.is_secure == text.lower().startswith("https")
    assert checked_target(target.url).origin == target.origin


@pytest.mark.parametrize(
    "text",
    [
        "http://a%2eb.example.com/",
        "http://a,b/",
        "http://[fe80::1%25eth0]/",
        "http://[1.2.3.4]/",
        "http://300.1.1.1/",
        "http://\u200b/",
        "http://" + "ü" * 64 + ".example.com/",
    ],
)
def test_a_host_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(EgressRefused, match="host"):
        checked_target(text)


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("c", "https://example.com/a/c"),
        ("../c", "https://example.com/c"),
        ("/c?d#e", "https://example.com/c?d"),
        ("?d", "https://example.com/a/b?d"),
        ("//other.example.com/c", "https://other.example.com/c"),
        ("https://other.example.com:8443", "https://other.example.com:8443/"),
    ],
)
def test_a_redirect_is_read_from_where_it_came(location: str, url: str) -> None:
    assert redirected(checked_target("https://example.com/a/b"), 302, location).url == url


def test_a_server_does_not_load_what_only_commands_and_other_databases_need() -> None:
    seen = (
        "import sys, callwright.cli.run, callwright.node; print(*{'httpx', 'psycopg', 'dns', 'av'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", seen], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
