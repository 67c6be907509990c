"""Digest authentication answers what the RFCs' own examples answer, and believes nothing less."""

import dataclasses
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callwright.errors import DigestError
from callwright.sip.digest import (
    ALGORITHMS,
    Authorization,
    Challenge,
    Credentials,
    NonceState,
    authorization,
    check_nonce,
    make_nonce,
    parse_authorization,
    parse_challenges,
    strongest,
    verify,
)

RFC_7616 = (
    'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={}, '
    'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
)
RFC_2617 = Challenge(
    "testrealm@host.com",
    "dcd98b7102dd2f0e8b11d0f600bfb0c093",
    qop=("auth", "auth-int"),
    opaque="5ccc069c403ebaf9f0171e9517f40e41",
)


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_example_of_rfc_7616(algorithm: str, response: str) -> None:
    """RFC 7616 §3.9.1."""
    (challenge,) = parse_challenges([RFC_7616.format(algorithm)])
    cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
    value = authorization(challenge, "Mufasa", "Circle of Life", "GET", "/dir/index.html", b"", cnonce, 1)
    answer = parse_authorization(value)
    assert answer.response == response
    assert (answer.qop, answer.nonce_count, answer.cnonce, answer.opaque) == ("auth", 1, cnonce, challenge.opaque)
    assert "nc=00000001" in value
    assert verify(answer, challenge, "Circle of Life", "GET", b"")


def test_the_example_of_rfc_2617() -> None:
    """RFC 2617 §3.5."""
    value = authorization(RFC_2617, "Mufasa", "Circle Of Life", "GET", "/dir/index.html", b"", "0a4f113b", 1)
    assert parse_authorization(value).response == "6629fae49393a05397450978507c4ef1"


def test_without_qop_as_in_rfc_2069() -> None:
    challenge = dataclasses.replace(RFC_2617, qop=())
    value = authorization(challenge, "Mufasa", "Circle Of Life", "GET", "/dir/index.html", b"", "0a4f113b", 1)
    assert parse_authorization(value).response == "670fd8c2df070c60b045671b8b24ff02"
    assert "cnonce" not in value
    assert "nc=" not in value
    assert "qop" not in value


def test_auth_int_protects_the_body() -> None:
    challenge = dataclasses.replace(RFC_2617, qop=("auth-int",), algorithm="SHA-256-sess")
    answer = parse_authorization(authorization(challenge, "u", "p", "INVITE", "sip:x", b"body", "c", 2))

    def h(text: str) -> str:
        return hashlib.sha256(text.encode()).hexdigest()

    secret = h(f"{h('u:testrealm@host.com:p')}:{challenge.nonce}:c")
    request = h(f"INVITE:sip:x:{h('body')}")
    assert answer.response == h(f"{secret}:{challenge.nonce}:00000002:c:auth-int:{request}")
    assert verify(answer, challenge, "p", "INVITE", b"body")
    assert not verify(answer, challenge, "p", "INVITE", b"other")


def test_several_challenges_are_read_from_one_line_and_from_many() -> None:
    challenges = parse_challenges(
        [
            'Digest realm="a", nonce="1", Basic realm="b", Digest nonce="2",realm="c,d",qop="auth",stale=TRUE',
            'DIGEST REALM = "e" , nonce = "3" , algorithm = "sha-256" , domain="sip:x", unknown=yes',
            "NewScheme dG9rZW4=",
        ]
    )
    assert challenges == [
        Challenge("a", "1"),
        Challenge("c,d", "2", qop=("auth",), stale=True),
        Challenge("e", "3", "SHA-256"),
    ]


@pytest.mark.parametrize(
    "value",
    [
        "Digest",
        'Digest realm="a"',
        'Digest nonce="a"',
        'realm="a", nonce="b"',
        'Digest realm="a", nonce="b',
        "Digest realm",
        'Digest realm="a", realm="b", nonce="c"',
        'Digest realm="a", nonce="b", (=1',
        'Digest realm="a" nonce="b"',
        "",
        "Digest " + ",".join(f'x{number}="y"' for number in range(50)),
        'Digest realm="a\\", nonce="b"',
    ],
)
def test_a_broken_challenge_is_refused(value: str) -> None:
    with pytest.raises(DigestError):
        strongest(parse_challenges([value]))


def test_the_strongest_is_chosen_and_the_first_of_equals() -> None:
    weak, strong = Challenge("r", "1", "MD5", ("auth",)), Challenge("r", "2", "SHA-256", ("auth",))
    unknown = Challenge("r", "3", "SHA-512-256", ("auth",))
    assert strongest([weak, unknown, strong, dataclasses.replace(strong, nonce="4")]) is strong
    assert strongest([unknown, weak]) is weak


@pytest.mark.parametrize(
    "challenge",
    [
        Challenge("r", "1", "SHA-512-256", ("auth",)),
        Challenge("r", "1", "AKAv1-MD5", ("auth",)),
        Challenge("r", "1", "MD5", ("auth-conf",)),
        Challenge("r", "1", "MD5-sess"),
    ],
)
def test_what_we_cannot_answer_is_not_answered(challenge: Challenge) -> None:
    with pytest.raises(DigestError):
        strongest([challenge])
    with pytest.raises(DigestError):
        authorization(challenge, "u", "p", "INVITE", "sip:x", b"", "c", 1)
    forged = Authorization("u", "r", "1", "sip:x", "0" * 32, challenge.algorithm, "auth", "c", 1)
    assert not verify(forged, challenge, "p", "INVITE", b"")


def test_another_realm_is_not_answered() -> None:
    mine, evil = Challenge("mine", "1"), Challenge("evil", "2", "SHA-256")
    assert strongest([evil, mine], realm="mine") is mine
    with pytest.raises(DigestError, match="evil"):
        strongest([evil], realm="mine")


@pytest.mark.parametrize("count", [0, -1, 2**32])
def test_an_impossible_nonce_count_is_refused(count: int) -> None:
    with pytest.raises(DigestError):
        authorization(RFC_2617, "u", "p", "INVITE", "sip:x", b"", "c", count)


def test_quotes_in_names_stay_inside() -> None:
    challenge = Challenge('r\\"s', "n", "SHA-256", ("auth",))
    value = authorization(challenge, 'a", realm="evil', "p", "INVITE", "sip:x", b"", "c", 1)
    answer = parse_authorization(value)
    assert (answer.username, answer.realm) == ('a", realm="evil', 'r\\"s')
    assert verify(answer, challenge, "p", "INVITE", b"")


OFFER = Challenge("example.com", "nonce1", "SHA-256", ("auth",), opaque="o")


def good() -> Authorization:
    return parse_authorization(authorization(OFFER, "trunk", "secret", "REGISTER", "sip:x", b"", "c", 1))


@pytest.mark.parametrize(
    "change",
    [
        {"realm": "other"},
        {"nonce": "nonce2"},
        {"opaque": None},
        {"opaque": "p"},
        {"algorithm": "MD5"},
        {"qop": None},
        {"qop": "auth-int"},
        {"response": "0" * 64},
        {"response": ""},
        {"response": "é"},
        {"nonce_count": 2},
        {"cnonce": "d"},
        {"username": "other"},
        {"uri": "sip:y"},
    ],
)
def test_one_wrong_part_is_enough_to_be_refused(change: dict[str, str | int | None]) -> None:
    assert verify(good(), OFFER, "secret", "REGISTER", b"")
    assert not verify(dataclasses.replace(good(), **change), OFFER, "secret", "REGISTER", b"")  # type: ignore[arg-type]  # a table


def test_the_wrong_password_or_method_is_refused() -> None:
    assert not verify(good(), OFFER, "guess", "REGISTER", b"")
    assert not verify(good(), OFFER, "secret", "INVITE", b"")


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Basic dTpw",
        "Digest",
        'Digest username="u", realm="r", nonce="n", uri="x"',
        'Digest username="u", realm="r", nonce="n", uri="x", response="0", qop=auth',
        'Digest username="u", realm="r", nonce="n", uri="x", response="0", qop=auth, cnonce="c", nc=1',
        'Digest username="u", realm="r", nonce="n", uri="x", response="0", qop=auth, cnonce="c", nc=0000000g',
        'Digest username="u", realm="r", nonce="n", uri="x", response="0", Digest username="v"',
    ],
)
def test_a_broken_authorization_is_refused(value: str) -> None:
    with pytest.raises(DigestError):
        parse_authorization(value)


SAFE = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)


@given(
    username=SAFE,
    password=SAFE,
    algorithm=st.sampled_from(ALGORITHMS),
    qop=st.sampled_from([("auth",), ("auth-int",), ("auth", "auth-int")]),
    body=st.binary(max_size=20),
    count=st.integers(1, 2**32 - 1),
)
def test_our_client_passes_our_server(
    username: str, password: str, algorithm: str, qop: tuple[str, ...], body: bytes, count: int
) -> None:
    offered = Challenge("example.com", make_nonce(b"k", 1e9, "salt"), algorithm, qop, opaque="o", stale=True)
    (read,) = parse_challenges([str(offered)])
    assert read == offered
    answer = parse_authorization(authorization(read, username, password, "INVITE", "sip:a@b.org", body, "cn", count))
    assert (answer.username, answer.nonce_count) == (username, count)
    assert verify(answer, offered, password, "INVITE", body)
    assert not verify(answer, offered, password + "x", "INVITE", body)


def test_a_nonce_carries_its_age() -> None:
    nonce = make_nonce(b"key", 1_000_000.9, "abc")
    assert check_nonce(nonce, b"key", 1_000_030, 30) is NonceState.GOOD
    assert check_nonce(nonce, b"key", 1_000_031, 30) is NonceState.STALE
    assert check_nonce(nonce, b"key", 999_990, 30) is NonceState.STALE
    assert check_nonce(nonce, b"other", 1_000_000, 30) is NonceState.FOREIGN
    assert make_nonce(b"key", 1_000_000, "abd") != nonce


@pytest.mark.parametrize("nonce", ["", ".", "..", "f4240.abc", "f4240.abc.0", "zz.abc.é", "\ud800.a.\ud800"])
def test_a_forged_nonce_is_foreign(nonce: str) -> None:
    assert check_nonce(nonce, b"key", 1_000_000, 30) is NonceState.FOREIGN


def test_a_password_is_never_shown() -> None:
    assert "hunter2" not in repr(Credentials("u", "hunter2"))
