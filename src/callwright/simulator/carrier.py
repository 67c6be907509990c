"""The built-in carrier: a SIP trunk on this machine, with a phone for each call it is given, or places.

Each incoming INVITE becomes a callee that behaves as its number says (`behaviour.py`), on the same user agent,
signalling and session descriptions that dial out; `call` lets a phone here call somebody. What a phone heard is written
to `heard/<sessionId>.wav` when the call is over; when a session has several phones, those after the first write
`heard/<sessionId>-2.wav` and so on.
"""

import asyncio
import contextlib
import logging
import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from callwright.errors import DigestError, SdpError, SipSyntaxError, TelephonyError
from callwright.simulator.behaviour import Behaviour, Press, behaviour_of
from callwright.simulator.handset import Handset, Peer
from callwright.simulator.keypad import BEAT_MS
from callwright.simulator.pace import Pace
from callwright.simulator.placed import Ending, PlacedCall
from callwright.simulator.recording import Recording
from callwright.sip import outputs, sdp
from callwright.sip.address import NameAddr, SipUri, escape_user
from callwright.sip.agent import UserAgent
from callwright.sip.digest import Challenge, NonceState, check_nonce, make_nonce, parse_authorization, verify
from callwright.sip.info import DIGIT_TYPES, digit_body
from callwright.sip.message import Request
from callwright.sip.negotiation import TELEPHONE_EVENT, Negotiated, make_answer, make_offer, read_answer
from callwright.sip.outputs import Address, Output
from callwright.sip.profile import AgentProfile
from callwright.sip.transactions.timers import Timers
from callwright.telemetry.clock import Clock
from callwright.telephony.caller import ANONYMOUS_HOST
from callwright.telephony.signalling import Everybody, Gate, Listening, Signalling, bind_sip_pair, sip_token
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
    "as the caller named it; its Call-ID when it named none, or when it is a call of ours"
    number: str
    "of the phone here: who was called, or who called"
    path: Path | None
    "the WAV file; None when it could not be written"
    seconds: float
    "of sound in it"
    packets: int
    "RTP packets that the phone received"
    packets_sent: int = 0
    missed_ms: int = 0
    "in which the phone said nothing, because this machine was too busy to let it speak in time"


@dataclass(slots=True)
class Phone:
    """One call of a phone here, from its INVITE to its end."""

    call_id: str
    number: str
    session_id: str
    behaviour: Behaviour
    handset: Handset
    sdp_session_id: int
    sdp_version: int = 0
    turn: int = 1
    "1 for the first phone of its session, 2 for the next while that one is on the line, and so on"
    turns_given: int = 1
    "the highest turn of its session so far"
    answer: bytes = b""
    "our description; the offer when the caller made none, or when we call"
    offered: sdp.SessionDescription | None = None
    "set when the offer is ours"
    is_answered: bool = False
    placed: PlacedCall | None = None
    "set when the phone is the caller"
    prompts_heard: int = 0
    timers: list[asyncio.TimerHandle] = field(default_factory=list)


class Carrier:
    """Takes calls on one address and gives each a phone."""

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
        tls: Listening | None = None,
        setting: str = "--sip, CALLWRIGHT_SIP",
        stop_limit_seconds: float = STOP_LIMIT_SECONDS,
    ) -> None:
        """`port` 0 picks one, for UDP and TCP; `tls` says where TLS is spoken besides.

        `heard` is told each answered call's end; without a folder nothing is written.

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
        self._tls = tls
        self._setting = setting
        self._stop_limit_seconds = stop_limit_seconds
        self._special: dict[str, Behaviour] = {}
        self._phones: dict[str, Phone] = {}
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
        udp, tcp = bind_sip_pair(*self._bind_to, self._setting)
        bound = udp.getsockname()
        self.address = (bound[0], bound[1])
        gate = Gate(lambda _: True)
        profile = AgentProfile(
            bound[0],
            bound[1],
            user="carrier",
            name="callwright-carrier",
            stream_ports={} if self._tls is None else {"TLS": self._tls.port},
            timers=self._timers,
            may_call=gate.may_call,
            within_budget=gate.within_budget,
        )
        self._agent = UserAgent(profile, sip_token)
        self._pace = Pace()
        self._signalling = Signalling(udp, self._agent, self._clock, self)
        await self._signalling.open_streams(tcp, self._tls, Everybody(), bound[0])

    async def stop(self) -> None:
        """Hang up every phone, within bounds, write what they heard, and free the ports."""
        if self._signalling is None:
            return
        for call_id in tuple(self._phones):
            self.hang_up(call_id)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._stop_limit_seconds):
                await self._empty.wait()
        for phone in tuple(self._phones.values()):
            self._over(phone, Ending(None, by_peer=False, reason="the carrier stopped"))
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
        return tuple(self._phones)

    def call(
        self,
        to: Address,
        source: str,
        destination: str,
        behaviour: Behaviour | None = None,
        headers: Sequence[tuple[str, str]] = (),
    ) -> PlacedCall:
        """A phone here calls `destination` at the SIP address `to`, showing `source`; empty shows nobody (RFC 3323).

        `behaviour` counts from the answer: what it says, presses, and when it hangs up. `hang_up` ends it before.
        TelephonyError when there are no ports for its sound.
        """
        behaviour = behaviour or Behaviour()
        call_id = sip_token()
        phone = self._phone(call_id, source, call_id, behaviour)
        phone.placed = PlacedCall(call_id)
        self._describe(phone, None)
        self._add(phone)
        callee = SipUri(to[0], escape_user(destination), to[1])
        caller = SipUri(self.address[0], escape_user(source)) if source else SipUri(ANONYMOUS_HOST, "anonymous")
        self._carry(
            self._agent.invite(
                self._clock(),
                call_id,
                target=callee,
                next_hop=to,
                from_=NameAddr(str(caller), "" if source else "Anonymous"),
                to=NameAddr(str(callee)),
                offer=phone.answer,
                extra_headers=headers,
            )
        )
        return phone.placed

    def press(self, call_id: str, wish: Press) -> None:
        """The phone of an answered call presses keys now; RtpError for what is no key."""
        phone = self._phones.get(call_id)
        if phone is not None:
            phone.handset.press(wish)

    def hang_up(self, call_id: str) -> None:
        """The phone hangs up, gives up calling, or refuses while it rings (603); unknown calls are over already."""
        self._carry(self._agent.hang_up(self._clock(), call_id))

    # --- what the user agent tells (signalling.News) -----------------------------------------------------------------

    def told(self, output: Output) -> None:
        """One output of the user agent."""
        if isinstance(output, outputs.IncomingCall):
            self._incoming(output)
            return
        phone = self._phones.get(output.call_id)
        if phone is None:
            return
        match output:
            case outputs.CallRinging() if phone.placed is not None:
                phone.placed.provisional.append(output.status)
                phone.placed.note()
            case outputs.CallAnswered():
                self._answered(phone, output.sdp)
            case outputs.CallConfirmed(sdp=bytes() as answer) if phone.offered is not None:
                self._late_answer(phone, phone.offered, answer)
            case outputs.CallFailed():
                self._over(phone, Ending(output.status, not output.locally_generated, output.reason))
            case outputs.CallEnded():
                self._over(phone, Ending(None, output.by_peer, output.reason))
            case outputs.ChangeOffered():
                self._change(phone, output.sdp)
            case _:
                pass

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
        session_id = call.request.headers.get(SESSION_HEADER) or call.call_id
        try:
            phone = self._phone(call.call_id, number, session_id, behaviour)
        except TelephonyError as error:
            log.error("%s", error)  # noqa: TRY400  the text says all of it
            self._carry(self._agent.reject(now, call.call_id, 503))
            return
        try:
            self._describe(phone, call.sdp)
        except SdpError as error:
            phone.handset.close()
            self._carry(self._agent.reject(now, call.call_id, 488, headers=[("Warning", _warning(str(error)))]))
            return
        self._add(phone)
        self.calls_taken += 1
        self._follow_script(phone)

    def _phone(self, call_id: str, number: str, session_id: str, behaviour: Behaviour) -> Phone:
        """A phone on ports of its own; TelephonyError when there are none."""
        handset = Handset(
            self.address[0],
            behaviour,
            self._pace,
            self._clock,
            tell_key=lambda key, ms: self._tell_key(call_id, key, ms),
            fell_silent=lambda: self._prompt_over(call_id),
        )
        others = [phone for phone in self._phones.values() if phone.session_id == session_id]
        turn = max((phone.turns_given for phone in others), default=0) + 1
        for phone in others:
            phone.turns_given = turn
        return Phone(call_id, number, session_id, behaviour, handset, secrets.randbits(62), turn=turn, turns_given=turn)

    def _add(self, phone: Phone) -> None:
        self._phones[phone.call_id] = phone
        self._empty.clear()

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

    # --- the phone's script ----------------------------------------------------------------------------------------

    def _follow_script(self, phone: Phone) -> None:
        behaviour = phone.behaviour
        if behaviour.ring_after_seconds is not None:
            self._later(phone, behaviour.ring_after_seconds, self._ring)
        if behaviour.answer_after_seconds is not None:
            self._later(phone, behaviour.answer_after_seconds, self._decide)

    def _ring(self, phone: Phone) -> None:
        if phone.behaviour.early_media:
            phone.handset.ring()
            self._carry(self._agent.ring(self._clock(), phone.call_id, 183, phone.answer))
        else:
            self._carry(self._agent.ring(self._clock(), phone.call_id, 180))

    def _decide(self, phone: Phone) -> None:
        """Pick up, or refuse."""
        behaviour = phone.behaviour
        if behaviour.reject_status is not None:
            self._carry(self._agent.reject(self._clock(), phone.call_id, behaviour.reject_status))
            return
        self._talk(phone)
        self._carry(self._agent.answer(self._clock(), phone.call_id, phone.answer))

    def _answered(self, phone: Phone, answer: bytes) -> None:
        """Whom the phone here called has picked up."""
        self._talk(phone)
        if phone.offered is not None:
            self._late_answer(phone, phone.offered, answer)
        if phone.placed is not None:
            phone.placed.is_answered = True
            phone.placed.note()

    def _talk(self, phone: Phone) -> None:
        """From now on it talks, and what its script says counts from here."""
        phone.is_answered = True
        phone.handset.talk()
        for wish in phone.behaviour.press:
            self._press_later(phone, wish)
        if phone.behaviour.hang_up_after_answer_seconds is not None:
            after_seconds = phone.behaviour.hang_up_after_answer_seconds
            self._later(phone, after_seconds, lambda phone: self.hang_up(phone.call_id))

    def _press_later(self, phone: Phone, wish: Press) -> None:
        self._later(phone, wish.after_seconds, lambda phone: phone.handset.press(wish))

    def _prompt_over(self, call_id: str) -> None:
        """The phone heard a prompt to its end: react as the script says."""
        phone = self._phones.get(call_id)
        if phone is None or not phone.is_answered:
            return
        reactions = phone.behaviour.press_after_silence
        if phone.prompts_heard < len(reactions):
            self._press_later(phone, reactions[phone.prompts_heard])
        phone.prompts_heard += 1

    def _tell_key(self, call_id: str, key: str, ms: int) -> None:
        self._carry(self._agent.send_info(self._clock(), call_id, DIGIT_TYPES[0], digit_body(key, ms)))

    def _later(self, phone: Phone, seconds: float, step: Callable[[Phone], None]) -> None:
        if seconds <= 0:
            step(phone)
        else:
            phone.timers.append(asyncio.get_running_loop().call_later(seconds, step, phone))

    # --- session descriptions --------------------------------------------------------------------------------------

    def _describe(self, phone: Phone, offer: bytes | None) -> None:
        """Answer the caller's offer, or make ours; the handset is connected as soon as its peer is known."""
        handset = phone.handset
        phone.sdp_version += 1
        session_id, version, codecs = phone.sdp_session_id, phone.sdp_version, phone.behaviour.codecs
        if offer:
            description, agreed = make_answer(
                sdp.parse(offer), handset.host, handset.port, session_id=session_id, version=version, codecs=codecs
            )
            handset.connect(_peer(agreed))
        else:
            description = phone.offered = make_offer(
                handset.host, handset.port, session_id=session_id, version=version, codecs=codecs
            )
        phone.answer = sdp.serialize(description)

    def _late_answer(self, phone: Phone, offered: sdp.SessionDescription, answer: bytes) -> None:
        try:
            phone.handset.connect(_peer(read_answer(offered, sdp.parse(answer))))
        except SdpError as error:
            log.warning("a caller's answer cannot be used: %s", error)
            self.hang_up(phone.call_id)

    def _change(self, phone: Phone, offer: bytes) -> None:
        try:
            self._describe(phone, offer)
        except SdpError:
            self._carry(self._agent.refuse_change(self._clock(), phone.call_id))
        else:
            self._carry(self._agent.accept_change(self._clock(), phone.call_id, phone.answer))

    # --- endings ---------------------------------------------------------------------------------------------------

    def _over(self, phone: Phone, ending: Ending) -> None:
        del self._phones[phone.call_id]
        if phone.placed is not None:
            phone.placed.ending = ending
            phone.placed.note()
        if not self._phones:
            self._empty.set()
        for timer in phone.timers:
            timer.cancel()
        recording = phone.handset.close()
        if phone.is_answered:
            task = asyncio.get_running_loop().create_task(self._keep(phone, recording))
            self._writing.add(task)
            task.add_done_callback(self._writing.discard)

    async def _keep(self, phone: Phone, recording: Recording) -> None:
        path = None
        if self._heard_folder is not None:
            # The name comes from the network: only what cannot leave the folder becomes a file name.
            name = phone.session_id if SAFE_NAME.fullmatch(phone.session_id) else sip_token()
            path = self._heard_folder / (f"{name}.wav" if phone.turn == 1 else f"{name}-{phone.turn}.wav")
            try:
                await asyncio.to_thread(recording.save, path)
            except OSError as error:
                log.error("what was heard is not written to %s: %s", path, error.strerror or error)  # noqa: TRY400
                path = None
        if self._heard is not None:
            handset = phone.handset
            numbers = (recording.seconds, handset.packets_heard, handset.packets_sent)
            missed_ms = handset.beats_missed * BEAT_MS
            self._heard(Heard(phone.session_id, phone.number, path, *numbers, missed_ms=missed_ms))

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
    return Peer(agreed.host, agreed.port, encodings, agreed.sends, agreed.event_payload_type)


def _warning(text: str) -> str:
    """A Warning value (RFC 3261 §20.43): 399 is "miscellaneous"."""
    return '399 callwright "' + text.replace("\\", "").replace('"', "'") + '"'
