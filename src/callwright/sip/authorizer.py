"""Which digest challenges a call answers (RFC 3261 §22, RFC 7616 §3.3).

Only challenges to a request that this call sent, from the host it sent it to, and only when credentials were given for
the call. What a stranger asks, and a challenge inside somebody's request, is never answered.
"""

from collections.abc import Callable

from callwright.errors import DigestError
from callwright.sip.digest import Credentials, authorization, parse_challenges, strongest
from callwright.sip.message import Request, Response

HEADERS_OF = {401: ("WWW-Authenticate", "Authorization"), 407: ("Proxy-Authenticate", "Proxy-Authorization")}


class Authorizer:
    """One call's credentials and what they were used for."""

    __slots__ = ("_answered", "_credentials", "_token")

    def __init__(self, credentials: Credentials | None, token: Callable[[], str]) -> None:
        self._credentials = credentials
        self._token = token
        self._answered: dict[tuple[str, str], set[str]] = {}

    def answer(self, request: Request, response: Response) -> tuple[str, str] | None:
        """The header to send `request` again with; None when the response is no challenge that we may or can answer.

        A realm is answered once per request method; again only for a nonce that is new because the old one went stale.
        """
        if self._credentials is None or response.status not in HEADERS_OF:
            return None
        asks, answers = HEADERS_OF[response.status]
        try:
            challenge = strongest(parse_challenges(response.headers.all(asks)), self._credentials.realm)
            nonces = self._answered.setdefault((challenge.realm, request.method), set())
            # "If the client has already tried these credentials and was refused, it must not try them again": a fresh
            # nonce without stale=true means that the password was wrong.
            if challenge.nonce in nonces or (nonces and not challenge.stale) or len(nonces) >= 2:
                return None
            nonces.add(challenge.nonce)
            value = authorization(
                challenge,
                self._credentials.username,
                self._credentials.password,
                request.method,
                request.uri,
                request.body,
                self._token(),
                1,
            )
        except DigestError:
            return None
        return answers, value
