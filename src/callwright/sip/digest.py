"""Digest access authentication, both sides (RFC 7616, RFC 2617, SIP's use of it RFC 3261 §22 and RFC 8760).

Client: `parse_challenges` → `strongest` → `authorization`. Server: `make_nonce` → `Challenge` → `parse_authorization` →
`verify` and `check_nonce`. Whether a challenge may be answered at all (who sent it, on which request) is decided where
the request was sent: credentials answer only the trunk they belong to.
"""

import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from callwright.errors import DigestError, SipSyntaxError
from callwright.sip.lexis import quote, split_list, unquote

ALGORITHMS = ("SHA-256", "SHA-256-sess", "MD5", "MD5-sess")
"""What we answer and offer, strongest first."""
MOST_NONCE_COUNT = 0xFFFFFFFF
_MOST_PARAMS = 40
_SCHEME_AND_PARAM = re.compile(r"([A-Za-z0-9\-.!%*_+`'~]+)\s+(.*)", re.DOTALL)
_PARAM = re.compile(r"""([A-Za-z0-9\-.!%*_+`'~]+)\s*=\s*("[^"\\]*(?:\\.[^"\\]*)*"|[^\s",=][^\s",]*|)""", re.DOTALL)
_NONCE_COUNT = re.compile(r"[0-9A-Fa-f]{8}")


@dataclass(frozen=True, slots=True)
class Credentials:
    """A name and a password of a trunk. Never logged: the password stays out of repr."""

    username: str
    password: str = field(repr=False)
    realm: str | None = None
    "only challenges of this realm are answered; None: of any realm"


@dataclass(frozen=True, slots=True)
class Challenge:
    """One Digest challenge: what a server wants proved. `str()` gives the value of WWW- or Proxy-Authenticate."""

    realm: str
    "as between the quotes, escapes untouched: it is hashed and echoed so"
    nonce: str
    algorithm: str = "MD5"
    "as in ALGORITHMS; others are kept as written, and never answered"
    qop: tuple[str, ...] = ()
    "offered protection, in lower case; empty for RFC 2069 servers"
    opaque: str | None = None
    stale: bool = False
    "the password was not wrong, the nonce was too old: try again at once"

    def __str__(self) -> str:
        parts = [f'realm="{self.realm}"', f'nonce="{self.nonce}"']
        if self.opaque is not None:
            parts.append(f'opaque="{self.opaque}"')
        if self.stale:
            parts.append("stale=true")
        parts.append(f"algorithm={self.algorithm}")
        if self.qop:
            parts.append(f'qop="{",".join(self.qop)}"')
        return "Digest " + ", ".join(parts)


@dataclass(frozen=True, slots=True)
class Authorization:
    """What a client sent in Authorization or Proxy-Authorization; nothing of it is believed before `verify`."""

    username: str
    realm: str
    nonce: str
    uri: str
    response: str
    algorithm: str = "MD5"
    qop: str | None = None
    cnonce: str = ""
    nonce_count: int = 0
    opaque: str | None = None


class NonceState(Enum):
    """What our own nonce is worth when it comes back."""

    GOOD = "good"
    STALE = "stale"
    "ours, but too old: challenge again with stale=true"
    FOREIGN = "foreign"
    "never ours"


def parse_challenges(values: Sequence[str]) -> list[Challenge]:
    """The Digest challenges in WWW-Authenticate or Proxy-Authenticate lines, in order; other schemes are left out.

    One line may hold several. DigestError when a Digest challenge cannot be read.
    """
    challenges = []
    for value in values:
        for scheme, params in _split_schemes(value):
            if scheme != "digest":
                continue
            challenges.append(
                Challenge(
                    realm=_need(params, "realm"),
                    nonce=_need(params, "nonce"),
                    algorithm=_algorithm(params.get("algorithm", "MD5")),
                    qop=tuple(option.strip().lower() for option in params.get("qop", "").split(",") if option.strip()),
                    opaque=params.get("opaque"),
                    stale=params.get("stale", "").lower() == "true",
                )
            )
    return challenges


def strongest(challenges: Sequence[Challenge], realm: str | None = None) -> Challenge:
    """The challenge with the strongest algorithm we know, the first of equals; DigestError when none can be answered.

    With `realm`, challenges of other realms are not answered: our proof for them would serve somebody else.
    """
    if not challenges:
        raise DigestError("no Digest challenge")
    of_realm = [challenge for challenge in challenges if realm is None or challenge.realm == realm]
    if not of_realm:
        raise DigestError(f"challenged for the realm {challenges[0].realm[:80]!r}, credentials are for {realm!r}")
    answerable = [challenge for challenge in of_realm if _is_answerable(challenge)]
    if not answerable:
        raise DigestError(f"no supported algorithm and qop in: {'; '.join(map(_offer, of_realm))[:200]}")
    return min(answerable, key=lambda challenge: ALGORITHMS.index(challenge.algorithm))


def authorization(
    challenge: Challenge,
    username: str,
    password: str,
    method: str,
    uri: str,
    body: bytes,
    cnonce: str,
    nonce_count: int,
) -> str:
    """The value of Authorization or Proxy-Authorization that answers `challenge` (RFC 7616 §3.4).

    `uri` is the Request-URI as sent, `cnonce` random text of our own, `nonce_count` how often this nonce was used,
    this time included. DigestError when the challenge is of a kind we do not answer.
    """
    if not _is_answerable(challenge):
        raise DigestError(f"cannot answer {_offer(challenge)}")
    if not 0 < nonce_count <= MOST_NONCE_COUNT:
        raise DigestError(f"nonce count {nonce_count}")
    # auth before auth-int: gateways on the way rewrite SDP, which auth-int would turn into a wrong password.
    qop = next((option for option in ("auth", "auth-int") if option in challenge.qop), None)
    answer = Authorization(
        username=username,
        realm=challenge.realm,
        nonce=challenge.nonce,
        uri=uri,
        response="",
        algorithm=challenge.algorithm,
        qop=qop,
        cnonce=cnonce,
        nonce_count=nonce_count,
    )
    parts = [
        f"username={quote(username)}",
        f'realm="{challenge.realm}"',
        f'nonce="{challenge.nonce}"',
        f"uri={quote(uri)}",
        f'response="{_response(answer, password, method, body)}"',
        f"algorithm={challenge.algorithm}",
    ]
    if challenge.opaque is not None:
        parts.append(f'opaque="{challenge.opaque}"')
    if qop:
        parts += [f"cnonce={quote(cnonce)}", f"qop={qop}", f"nc={nonce_count:08x}"]
    return "Digest " + ", ".join(parts)


def parse_authorization(value: str) -> Authorization:
    """Read one Authorization or Proxy-Authorization value; DigestError when it is not Digest or lacks a part."""
    read = _split_schemes(value)
    if len(read) != 1 or read[0][0] != "digest":
        raise DigestError("not a Digest authorization")
    params = read[0][1]
    qop = params.get("qop", "").lower() or None
    count = params.get("nc", "")
    if qop and not (_NONCE_COUNT.fullmatch(count) and params.get("cnonce")):
        raise DigestError("qop without cnonce and nc")
    return Authorization(
        username=unquote(f'"{_need(params, "username")}"'),
        realm=_need(params, "realm"),
        nonce=_need(params, "nonce"),
        uri=_need(params, "uri"),
        response=_need(params, "response").lower(),
        algorithm=_algorithm(params.get("algorithm", "MD5")),
        qop=qop,
        cnonce=params.get("cnonce", ""),
        nonce_count=int(count, 16) if _NONCE_COUNT.fullmatch(count) else 0,
        opaque=params.get("opaque"),
    )


def verify(given: Authorization, challenge: Challenge, password: str, method: str, body: bytes) -> bool:
    """Whether the client knows the password and answers this very challenge; the comparison takes constant time.

    Weaker answers than the challenge asked for (another algorithm, no qop) do not count. Two things stay with the
    caller: that `given.uri` is the Request-URI, and that `nonce_count` grows (replay).
    """
    asked = (challenge.realm, challenge.nonce, challenge.opaque, challenge.algorithm)
    if (given.realm, given.nonce, given.opaque, given.algorithm) != asked or not _is_answerable(challenge):
        return False
    if (given.qop not in challenge.qop) if challenge.qop else (given.qop is not None):
        return False
    if given.qop not in (None, "auth", "auth-int"):
        return False
    expected = _response(given, password, method, body)
    return hmac.compare_digest(expected.encode(), given.response.encode())


def make_nonce(secret: bytes, now: float, salt: str) -> str:
    """A nonce that carries its own age: seconds, salt, and a seal that only `secret` can make. Nothing need be kept.

    `now` is unix seconds; `salt` is fresh random text per challenge, letters and digits.
    """
    text = f"{int(now):x}.{salt}"
    return f"{text}.{_seal(secret, text)}"


def check_nonce(nonce: str, secret: bytes, now: float, lifetime_seconds: float) -> NonceState:
    """Whether a nonce that came back is ours and not older than `lifetime_seconds`."""
    text, _, seal = nonce.rpartition(".")
    if not hmac.compare_digest(_seal(secret, text).encode(), seal.encode("utf-8", "replace")):
        return NonceState.FOREIGN
    made_at = int(text.partition(".")[0], 16)  # our own seal stands behind it
    return NonceState.GOOD if -1 <= now - made_at <= lifetime_seconds else NonceState.STALE


def _seal(secret: bytes, text: str) -> str:
    return hmac.new(secret, text.encode("utf-8", "replace"), hashlib.sha256).hexdigest()[:32]


def _hash(algorithm: str, data: bytes) -> str:
    if algorithm.startswith("SHA-256"):
        return hashlib.sha256(data).hexdigest()
    # MD5 is what trunks ask for; nothing of ours rests on it.
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _response(answer: Authorization, password: str, method: str, body: bytes) -> str:
    """`request-digest` in hexadecimal (RFC 7616 §3.4.1-3.4.3; without qop RFC 2617 §3.2.2.1)."""

    def digest(text: str) -> str:
        return _hash(answer.algorithm, text.encode("utf-8", "replace"))

    secret = digest(f"{answer.username}:{answer.realm}:{password}")
    if answer.algorithm.endswith("-sess"):
        secret = digest(f"{secret}:{answer.nonce}:{answer.cnonce}")
    request = f"{method}:{answer.uri}"
    if answer.qop == "auth-int":
        request += f":{_hash(answer.algorithm, body)}"
    if answer.qop is None:
        return digest(f"{secret}:{answer.nonce}:{digest(request)}")
    count = f"{answer.nonce_count:08x}"
    return digest(f"{secret}:{answer.nonce}:{count}:{answer.cnonce}:{answer.qop}:{digest(request)}")


def _is_answerable(challenge: Challenge) -> bool:
    if challenge.algorithm not in ALGORITHMS:
        return False
    if not challenge.qop:
        return not challenge.algorithm.endswith("-sess")  # -sess needs a cnonce, which only qop allows to send
    return "auth" in challenge.qop or "auth-int" in challenge.qop


def _offer(challenge: Challenge) -> str:
    return f"{challenge.algorithm} qop={','.join(challenge.qop) or 'none'}"


def _algorithm(text: str) -> str:
    """The name as ALGORITHMS spells it; unknown ones as written."""
    return next((known for known in ALGORITHMS if known.lower() == text.lower()), text)


def _need(params: dict[str, str], name: str) -> str:
    value = params.get(name)
    if value is None:
        raise DigestError(f"{name} is missing")
    return value


def _split_schemes(value: str) -> list[tuple[str, dict[str, str]]]:
    """(scheme in lower case, parameters) of each challenge in one line; values without quotes, escapes untouched.

    A part `Scheme name=value` opens the next challenge; `name=value` belongs to the one before.
    """
    read: list[tuple[str, dict[str, str]]] = []
    try:
        parts = split_list(value, ",")
    except SipSyntaxError as error:
        raise DigestError(str(error)) from error
    if len(parts) > _MOST_PARAMS:
        raise DigestError(f"{len(parts)} parameters")
    for part in parts:
        rest = part
        opened = _SCHEME_AND_PARAM.fullmatch(part)
        if opened and not opened.group(2).startswith("="):  # `name = value` has a space too
            read.append((opened.group(1).lower(), {}))
            rest = opened.group(2)
        if not rest:
            continue  # an empty list element, as HTTP grammar allows
        found = _PARAM.fullmatch(rest)
        if not read:
            raise DigestError("no authentication scheme")
        if found is None:
            if read[-1][0] != "digest":
                continue  # another scheme has a grammar of its own
            raise DigestError(f"{rest[:40]!r} is not a parameter")
        name, text = found.group(1).lower(), found.group(2)
        if name in read[-1][1]:
            raise DigestError(f"{name[:40]!r} stands twice")
        read[-1][1][name] = text[1:-1] if text[:1] == '"' else text
    return read
