"""A whole user agent that listens: one call of ours that rings or is up, and whatever the trunk says to it."""

from itertools import count
from typing import Final

from callwright.sip.address import NameAddr, SipUri
from callwright.sip.agent import UserAgent
from callwright.sip.digest import Credentials
from callwright.sip.negotiation import make_offer
from callwright.sip.outputs import Output, Transmit
from callwright.sip.parse import parse
from callwright.sip.profile import AgentProfile
from callwright.sip.sdp import serialize as serialize_sdp

US: Final = ("192.0.2.1", 5060)
TRUNK: Final = ("192.0.2.2", 5060)
CALL: Final = "call-1"
PASSWORD: Final = b"a password that must not be seen"
MOST_TICKS: Final = 2_000
OFFER: Final = serialize_sdp(make_offer("192.0.2.1", 4000, session_id=1, version=1))
_HEAD: Final = "Via: SIP/2.0/UDP {via}\r\nFrom: {from_}\r\nTo: {to}\r\nCall-ID: call-1\r\nCSeq: {cseq}\r\n"


def _everybody(_source: object, _request: object) -> bool:
    return True


def placed_call(answered: bool) -> UserAgent:
    """A user agent with one call to the trunk, which rings or, `answered`, is up. The same bytes every time."""
    numbers = count(1)
    agent = UserAgent(AgentProfile(*US, may_call=_everybody), lambda: f"token{next(numbers)}")
    outputs = agent.invite(
        0.0,
        CALL,
        target=SipUri.parse("sip:15551234@192.0.2.2"),
        next_hop=TRUNK,
        from_=NameAddr("sip:caller@192.0.2.1"),
        to=NameAddr("sip:15551234@192.0.2.2"),
        offer=OFFER,
        credentials=Credentials("user", PASSWORD.decode()),
    )
    if answered:
        (invite,) = (output.data for output in outputs if isinstance(output, Transmit))
        agent.receive(0.1, _response(invite, "200 OK", OFFER), TRUNK)
    return agent


def _response(invite: bytes, status: str, body: bytes = b"", extra: str = "") -> bytes:
    headers = parse(invite).headers
    head = _HEAD.format(
        via=(headers.get("Via") or "").removeprefix("SIP/2.0/UDP "),
        from_=headers.get("From"),
        to=f"{headers.get('To')};tag=peer",
        cseq=headers.get("CSeq"),
    )
    return _with_body(f"SIP/2.0 {status}\r\n{head}Contact: <sip:peer@192.0.2.2>\r\n{extra}", body)


def _request(invite: bytes, method: str, body: bytes = b"", extra: str = "", number: int = 7) -> bytes:
    headers = parse(invite).headers
    head = _HEAD.format(
        via="192.0.2.2:5060;branch=z9hG4bKpeer" + method,
        from_=f"{headers.get('To')};tag=peer",
        to=headers.get("From"),
        cseq=f"{number} {method}",
    )
    start = f"{method} sip:callwright@192.0.2.1:5060 SIP/2.0\r\nMax-Forwards: 70\r\n"
    return _with_body(f"{start}{head}Contact: <sip:peer@192.0.2.2>\r\n{extra}", body)


def _with_body(head: str, body: bytes) -> bytes:
    kind = "Content-Type: application/sdp\r\n" if body else ""
    return f"{head}{kind}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _talk() -> list[bytes]:
    outputs: list[Output] = []
    agent = placed_call(answered=False)
    outputs += agent.tick(agent.deadline or 0.0)  # the INVITE once more, which is all we need of it
    invite = next(output.data for output in outputs if isinstance(output, Transmit))
    digest = 'Digest realm="sip.example.com", nonce="84a4cc6f", qop="auth", algorithm=MD5'
    return [
        _response(invite, "100 Trying"),
        _response(invite, "183 Session Progress", OFFER, "Require: 100rel\r\nRSeq: 17\r\n"),
        _response(invite, "200 OK", OFFER, "Record-Route: <sip:192.0.2.2;lr>\r\nSession-Expires: 90;refresher=uac\r\n"),
        _response(invite, "407 Proxy Authentication Required", b"", f"Proxy-Authenticate: {digest}\r\n"),
        _response(invite, "401 Unauthorized", b"", f"WWW-Authenticate: {digest}, {digest}\r\n"),
        _response(invite, "422 Session Interval Too Small", b"", "Min-SE: 3600\r\n"),
        _response(invite, "302 Moved Temporarily"),
        _response(invite, "503 Service Unavailable", b"", "Retry-After: 18000;duration=3600\r\n"),
        _request(invite, "BYE", b"", 'Reason: Q.850;cause=16;text="bye"\r\n'),
        _request(invite, "INVITE", OFFER, "Supported: timer, 100rel\r\nSession-Expires: 1800\r\nAllow: UPDATE\r\n"),
        _request(invite, "UPDATE", OFFER, "Session-Expires: 90;refresher=uas\r\n"),
        _request(invite, "INFO", b"Signal=5\r\nDuration=160\r\n", "Content-Type: application/dtmf-relay\r\n"),
        _request(invite, "PRACK", b"", "RAck: 17 1 INVITE\r\n"),
        _request(invite, "REFER", b"", "Refer-To: <sip:mallory@example.com>\r\n"),
        _request(invite, "OPTIONS").replace(b";tag=peer", b""),
        _request(invite, "CANCEL"),
    ]


TALK: Final = _talk()
"""What a trunk may say to the call that `placed_call` makes: the tags, branches and numbers fit."""


def listen_in(data: bytes) -> bool:
    """The agent takes what comes, tells nobody the password, and the call can be ended as ever; nothing of it remains.

    Sound is what made the agent say anything.
    """
    said = 0
    for answered in (False, True):
        agent = placed_call(answered)
        outputs = agent.receive(1.0, data, TRUNK)
        said += len(outputs)
        outputs += agent.receive(1.1, data, ("198.51.100.66", 5060))
        outputs += agent.hang_up(2.0, CALL)
        outputs += _to_the_end(agent)
        for output in outputs:
            if isinstance(output, Transmit):
                assert PASSWORD not in output.data
                if output.data.strip():
                    parse(output.data)
    return said > 0


def _to_the_end(agent: UserAgent) -> list[Output]:
    outputs: list[Output] = []
    for _ in range(MOST_TICKS):
        deadline = agent.deadline
        if deadline is None:
            break
        outputs += agent.tick(deadline)
    assert (agent.calls, agent.transactions, agent.deadline) == (0, 0, None)
    return outputs
