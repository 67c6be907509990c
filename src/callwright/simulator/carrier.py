"""The built-in carrier: a SIP trunk on this machine, with a handset for each call it is given.

Each incoming INVITE becomes a callee that behaves as its number says (`behaviour.py`), on the same user agent,
signalling and session descriptions that dial out. What a callee heard is written to `heard/<sessionId>.wav` when the
call is over.
"""

import asyncio
import contextlib
import logging
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from callwright.errors import DigestError, SdpError, SipSyntaxError, TelephonyError
from callwright.simulator.behaviour import Behaviour, behaviour_of
from callwright.simulator.handset import Handset, Peer
from callwright.simulator.pace import Pace
from callwright.simulator.recording import Recording
from callwright.sip import outputs, sdp
from callwright.sip.address import SipUri
from callwright.sip.agent import UserAgent
from callwright.sip.digest import Challenge, NonceState, check_nonce, make_nonce, parse_authorization, verify
from callwright.sip.message import Request
from callwright.sip.negotiation import TELEPHONE_EVENT, Negotiated, make_answer, make_offer, read_answer
from callwright.sip.outputs import Address, Output
from callwright.sip.profile import AgentProfile
from callwright.sip.transactions.timers import Timers
from callwright.telemetry.clock import Clock
from callwright.telephony.signalling import Gate, Signalling, bind_sip, sip_token
from callwright.telephony.trunk import SESSION_HEADER

log = logging.getLogger(__name__)

STOP_LIMIT_SECONDS = 3.0
NONCE_LIFETIME_SECONDS = 60.0
SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")


@dataclass(frozen=True, slots=True)
class Login:
    """What a caller must prove to know (RFC 7616)."""

    realm: str
    username: str
    password: str = field(repr=False)
    algorithm: str = "SHA-256"


@dataclass(frozen=True, slots=True)
class Heard:
    """A call that was answered is over."""

    session_id: str
    "as the caller named it; its Call-ID when it named none"
    number: str
    "who was called"
    path: Path | None
    "the WAV file; None when it could not be written"
    seconds: float
    "of sound in it"
    packets: int
    "RTP packets that the callee received"


@dataclass(slots=True)
class Callee:
    """One call, from its INVITE to its end."""

    call_id: str
    number: str
    session_id: str
    behaviour: Behaviour
    handset: Handset
    sdp_session_id: int
    sdp_version: int = 0
    answer: bytes = b""
    "our description; the offer when the caller made none"
    offered: sdp.SessionDescription | None = None
    "set when the caller made no offer"
    is_answered: bool = False
    timers: list[asyncio.TimerHandle] = field(default_factory=list)


class Carrier:
    """Takes calls on one address and gives each a callee."""

    def __init__(
        self,
        host: str,
        port: int,
        clock: Clock,
        *,
        heard_folder: Path | None = None,
        heard: Callable[[Heard], None] | None = None,
        usual: Behaviour | None = None,
        login: Login | None = None,
        timers: Timers | None = None,
        setting: str = "--sip, CALLWRIGHT_SIP",
        stop_limit_seconds: float = STOP_LIMIT_SECONDS,
    ) -> None:
        """`port` 0 picks one. `heard` is told each answered call's end; without a folder nothing is written.

        `usual` is what numbers without a meaning do; `setting` is named when the address cannot be had.
        `stop` waits for callers to confirm the end for `stop_limit_seconds` at most.
        """
        self._bind_to = (host, port)
        self._clock = clock
        self._heard_folder = heard_folder
        self._heard = heard
        self._usual = usual or Behaviour()
        self._login = login
        self._timers = timers or Timers()
        self._setting = setting
        self._stop_limit_seconds = stop_limit_seconds
        self._special: dict[str, Behaviour] = {}
        self._callees: dict[str, Callee] = {}
        self._writing: set[asyncio.Task[None]] = set()
        self._nonce_secret = secrets.token_bytes(32)
        self._agent: UserAgent
        self._pace: Pace
        self._empty = asyncio.Event()
        self._empty.set()
        self._signalling: Signalling | None = None
        self.address: Address = self._bind_to
        "where it listens, once started"
        self.calls_taken = 0

    # --- the door --------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Listen; TelephonyError when the address cannot be had."""
        udp = bind_sip(*self._bind_to, self._setting)
        bound = udp.getsockname()
        self.address = (bound[0], bound[1])
        gate = Gate(lambda _: True)
        profile = AgentProfile(
            bound[0],
            bound[1],
            user="carrier",
            name="callwright-carrier",
            timers=self._timers,
            may_call=gate.may_call,
            within_budget=gate.within_budget,
        )
        self._agent = UserAgent(profile, sip_token)
        self._pace = Pace()
        self._signalling = Signalling(udp, self._agent, self._clock, self)

    async def stop(self) -> None:
        """Hang up every callee, within bounds, write what they heard, and free the ports."""
        if self._signalling is None:
            return
        for call_id in tuple(self._callees):
            self.hang_up(call_id)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._stop_limit_seconds):
                await self._empty.wait()
        for callee in tuple(self._callees.values()):
            self._over(callee)
        self._signalling.close()
        self._signalling = None
        while self._writing:
            await asyncio.wait(self._writing)

    def behave(self, number: str, behaviour: Behaviour) -> None:
        """From now on calls to `number` (as dialled) go like this."""
        self._special[number] = behaviour

    @property
    def calls(self) -> tuple[str, ...]:
        """Call-IDs of the calls that are not over."""
        return tuple(self._callees)

    def hang_up(self, call_id: str) -> None:
        """The callee hangs up, or refuses while it rings (603); unknown calls are over already."""
        self._carry(self._agent.hang_up(self._clock(), call_id))

    # --- what the user agent tells (signalling.News) -----------------------------------------------------------------

    def told(self, output: Output) -> None:
        """One output of the user agent."""
        if isinstance(output, outputs.IncomingCall):
            self._incoming(output)
            return
        callee = self._callees.get(output.call_id)
        if callee is None:
            return
        match output:
            case outputs.CallConfirmed(sdp=bytes() as answer) if callee.offered is not None:
                self._late_answer(callee, callee.offered, answer)
            case outputs.CallFailed() | outputs.CallEnded():
                self._over(callee)
            case outputs.ChangeOffered():
                self._change(callee, output.sdp)
            case _:
                pass  # everything else is a caller's news

    def recorded(self, call_id: str, data: bytes, peer: Address, *, sent: bool) -> None:
        """The carrier keeps no record; the caller's trace has both directions."""

    def _incoming(self, call: outputs.IncomingCall) -> None:
        now = self._clock()
        if self._login is not None and not self._is_authorized(self._login, call.request):
            challenge = Challenge(
                self._login.realm,
                make_nonce(self._nonce_secret, now, sip_token()),
                self._login.algorithm,
                ("auth",),
            )
            headers = [("Proxy-Authenticate", str(challenge))]
            self._carry(self._agent.reject(now, call.call_id, 407, headers=headers))
            return
        number = _dialled(call.request)
        behaviour = self._special.get(number) or behaviour_of(number, self._usual)
        try:
            handset = Handset(self.address[0], behaviour, self._pace, self._clock)
        except TelephonyError as error:
            log.error("%s", error)  # noqa: TRY400  the text says all of it
            self._carry(self._agent.reject(now, call.call_id, 503))
            return
        session_id = call.request.headers.get(SESSION_HEADER) or call.call_id
        callee = Callee(call.call_id, number, session_id, behaviour, handset, secrets.randbits(62))
        try:
            self._describe(callee, call.sdp)
        except SdpError as error:
            handset.close()
            self._carry(self._agent.reject(now, call.call_id, 488, headers=[("Warning", _warning(str(error)))]))
            return
        self._callees[call.call_id] = callee
        self._empty.clear()
        self.calls_taken += 1
        self._follow_script(callee)

    def _is_authorized(self, login: Login, request: Request) -> bool:
        """Whether the request proves the login against a nonce of ours that is not too old."""
        try:
            given = parse_authorization(request.headers.get("Proxy-Authorization") or "")
        except DigestError:
            return False
        state = check_nonce(given.nonce, self._nonce_secret, self._clock(), NONCE_LIFETIME_SECONDS)
        challenge = Challenge(login.realm, given.nonce, login.algorithm, ("auth",))
        return (
            state is NonceState.GOOD
            and given.username == login.username
            and given.uri == request.uri
            and verify(given, challenge, login.password, request.method, request.body)
        )

    # --- the callee's script ---------------------------------------------------------------------------------------

    def _follow_script(self, callee: Callee) -> None:
        behaviour = callee.behaviour
        if behaviour.ring_after_seconds is not None:
            self._later(callee, behaviour.ring_after_seconds, self._ring)
        if behaviour.answer_after_seconds is not None:
            self._later(callee, behaviour.answer_after_seconds, self._decide)

    def _ring(self, callee: Callee) -> None:
        if callee.behaviour.early_media:
            callee.handset.ring()
            self._carry(self._agent.ring(self._clock(), callee.call_id, 183, callee.answer))
        else:
            self._carry(self._agent.ring(self._clock(), callee.call_id, 180))

    def _decide(self, callee: Callee) -> None:
        """Pick up, or refuse."""
        behaviour = callee.behaviour
        if behaviour.reject_status is not None:
            self._carry(self._agent.reject(self._clock(), callee.call_id, behaviour.reject_status))
            return
        callee.is_answered = True
        callee.handset.talk()
        self._carry(self._agent.answer(self._clock(), callee.call_id, callee.answer))
        if behaviour.hang_up_after_answer_seconds is not None:
            self._later(callee, behaviour.hang_up_after_answer_seconds, lambda callee: self.hang_up(callee.call_id))

    def _later(self, callee: Callee, seconds: float, step: Callable[[Callee], None]) -> None:
        if seconds <= 0:
            step(callee)
        else:
            callee.timers.append(asyncio.get_running_loop().call_later(seconds, step, callee))

    # --- session descriptions --------------------------------------------------------------------------------------

    def _describe(self, callee: Callee, offer: bytes | None) -> None:
        """Answer the caller's offer, or make ours; the handset is connected as soon as its peer is known."""
        handset = callee.handset
        callee.sdp_version += 1
        session_id, version, codecs = callee.sdp_session_id, callee.sdp_version, callee.behaviour.codecs
        if offer:
            description, agreed = make_answer(
                sdp.parse(offer), handset.host, handset.port, session_id=session_id, version=version, codecs=codecs
            )
            handset.connect(_peer(agreed))
        else:
            description = callee.offered = make_offer(
                handset.host, handset.port, session_id=session_id, version=version, codecs=codecs
            )
        callee.answer = sdp.serialize(description)

    def _late_answer(self, callee: Callee, offered: sdp.SessionDescription, answer: bytes) -> None:
        try:
            callee.handset.connect(_peer(read_answer(offered, sdp.parse(answer))))
        except SdpError as error:
            log.warning("a caller's answer cannot be used: %s", error)
            self.hang_up(callee.call_id)

    def _change(self, callee: Callee, offer: bytes) -> None:
        try:
            self._describe(callee, offer)
        except SdpError:
            self._carry(self._agent.refuse_change(self._clock(), callee.call_id))
        else:
            self._carry(self._agent.accept_change(self._clock(), callee.call_id, callee.answer))

    # --- endings ---------------------------------------------------------------------------------------------------

    def _over(self, callee: Callee) -> None:
        del self._callees[callee.call_id]
        if not self._callees:
            self._empty.set()
        for timer in callee.timers:
            timer.cancel()
        recording = callee.handset.close()
        if callee.is_answered:
            task = asyncio.get_running_loop().create_task(self._keep(callee, recording))
            self._writing.add(task)
            task.add_done_callback(self._writing.discard)

    async def _keep(self, callee: Callee, recording: Recording) -> None:
        path = None
        if self._heard_folder is not None:
            # The name comes from the network: only what cannot leave the folder becomes a file name.
            name = callee.session_id if SAFE_NAME.fullmatch(callee.session_id) else sip_token()
            path = self._heard_folder / f"{name}.wav"
            try:
                await asyncio.to_thread(recording.save, path)
            except OSError as error:
                log.error("what was heard is not written to %s: %s", path, error.strerror or error)  # noqa: TRY400
                path = None
        if self._heard is not None:
            heard = Heard(callee.session_id, callee.number, path, recording.seconds, callee.handset.packets_heard)
            self._heard(heard)

    def _carry(self, wishes: list[Output]) -> None:
        if self._signalling is not None:
            self._signalling.carry(wishes)


def _dialled(request: Request) -> str:
    """Who is called: the user part of the Request-URI."""
    try:
        return SipUri.parse(request.uri).decoded_user
    except SipSyntaxError:
        return ""


def _peer(agreed: Negotiated) -> Peer:
    """The caller's sound, its codec first."""
    encodings = {agreed.payload_type: agreed.codec}
    encodings |= {number: name for number, name in agreed.received.items() if name != TELEPHONE_EVENT}
    return Peer(agreed.host, agreed.port, encodings, agreed.sends)


def _warning(text: str) -> str:
    """A Warning value (RFC 3261 §20.43): 399 is "miscellaneous"."""
    return '399 callwright "' + text.replace("\\", "").replace('"', "'") + '"'
