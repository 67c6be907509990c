"""Telephony's door: dials legs over trunks, plays to them, hangs up, and posts what became of them.

    dial ─▶ trunk's address, RTP ports ─▶ INVITE ─▶ Ringing* ─▶ Answered(codec) ─▶ HungUp
                                             └─▶ NotAnswered

Every dialled leg ends in exactly one NotAnswered or HungUp; `leg.py` says what the ends mean. Calls to us are refused.
"""

import asyncio
import logging
import secrets
import socket
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace

from callwright.audio.prompt import Prompt
from callwright.callflow import events
from callwright.callflow.events import Event, HungUp, NotAnswered
from callwright.callflow.outcome import CallStatus, HungUpBy
from callwright.errors import ErrorCode, SdpError, TelephonyError, TrunksFull
from callwright.sip import outputs, sdp
from callwright.sip.address import NameAddr
from callwright.sip.agent import UserAgent
from callwright.sip.digest import Credentials
from callwright.sip.negotiation import Negotiated, read_answer
from callwright.sip.outputs import Address, Output
from callwright.sip.profile import AgentProfile
from callwright.sip.streams import place_text
from callwright.sip.transactions.timers import Timers
from callwright.telemetry.clock import Clock
from callwright.telemetry.trace import Trace
from callwright.telephony import leg as legs
from callwright.telephony.leg import DigitWay, Leg, Stage
from callwright.telephony.media import events as media
from callwright.telephony.media.plane import MediaPlane
from callwright.telephony.media.stream import StreamReport
from callwright.telephony.resolver import Resolver
from callwright.telephony.signalling import Gate, Listening, Signalling, bind_sip_pair, readable_text, sip_token
from callwright.telephony.trunk import Trunk, ip_literal
from callwright.telephony.trunking import FAILOVER_SECONDS, Trunking

log = logging.getLogger(__name__)

NOT_ACCEPTABLE_HERE = 488
UNAVAILABLE = 503
NORMAL_CLEARING = "Q.850;cause=16"
MEDIA_RESTART_SECONDS = 1.0
"""Between two attempts to start a media process that died."""


@dataclass(frozen=True, slots=True)
class TelephonySettings:
    """Where telephony listens and who carries its calls."""

    sip_host: str
    sip_port: int
    "0 picks one"
    rtp_ports: range
    trunks: tuple[Trunk, ...]
    rtp_host: str = ""
    "empty: the SIP host"
    tls: Listening | None = None
    "where peers connect with TLS"
    stop_limit_seconds: float = 4.0
    "how long `stop` waits for answers to its BYEs and CANCELs"
    timers: Timers = field(default_factory=Timers)
    "of SIP transactions; the defaults are RFC 3261's"
    silence_seconds: float = 30.0
    "without RTP and RTCP, until the trace says so"
    log_level: str = "info"
    log_format: str = "text"
    "of the media process, as for telemetry.log.configure"


@dataclass(frozen=True, slots=True)
class Route:
    """How a leg will be dialled, known before it is."""

    trunk: str
    sip_call_id: str


def reachable_host(bound: str, trunks: tuple[Trunk, ...]) -> str:
    """The address that peers reach us at. When we listen on all of ours: the one that leads to the first trunk."""
    literal = ip_literal(bound)
    if literal is None or not literal.is_unspecified:
        return bound
    family, outside = (socket.AF_INET6, "2001:db8::1") if literal.version == 6 else (socket.AF_INET, "192.0.2.1")
    trunk = ip_literal(trunks[0].host) if trunks else None
    toward = str(trunk) if trunk is not None and trunk.version == literal.version else outside
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((toward, 9))  # sends nothing: it asks the routing table
            return str(probe.getsockname()[0])
        except OSError as error:
            text = f"no address of this machine is known for {bound} (--sip, CALLWRIGHT_SIP): name one to listen on"
            raise TelephonyError(text) from error


class Telephony:
    """Lines to the outside. `post(leg_id, event)` is called on the loop for each thing that happens to a leg."""

    def __init__(self, settings: TelephonySettings, clock: Clock, post: Callable[[str, Event], None]) -> None:
        self._settings = settings
        self._clock = clock
        self._post = post
        self._trunks = {trunk.name: trunk for trunk in settings.trunks}
        self._legs: dict[str, Leg] = {}
        self._leg_of_call: dict[str, Leg] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._empty = asyncio.Event()
        self._empty.set()
        self._stopping = False
        self._host = ""
        self._trunking = Trunking(settings.trunks, clock, sip_token)
        self._agent: UserAgent
        self._signalling: Signalling | None = None
        self._media: MediaPlane
        self.address: Address = (settings.sip_host, settings.sip_port)
        "where SIP is bound, once started"

    # --- the door --------------------------------------------------------------------------------------------------

    @property
    def ready(self) -> bool:
        """Legs can be dialled: SIP is bound and the media process is up."""
        return self._signalling is not None and self._media.ready and not self._stopping

    @property
    def legs(self) -> int:
        """Legs whose last event was not posted yet."""
        return len(self._legs)

    async def start(self) -> None:
        """Bind SIP and start the media process; TelephonyError names the flag that changes what is taken."""
        settings = self._settings
        udp, tcp = bind_sip_pair(settings.sip_host, settings.sip_port)
        try:
            bound = udp.getsockname()
            self.address = (bound[0], bound[1])
            self._host = reachable_host(bound[0], settings.trunks)
            rtp_host = settings.rtp_host or self._host
            self._media = MediaPlane(
                rtp_host,
                settings.rtp_ports,
                self._clock,
                self._media_event,
                settings.silence_seconds,
                settings.log_level,
                settings.log_format,
            )
            await self._media.start()
        except BaseException:
            udp.close()
            tcp.close()
            raise
        trunking = self._trunking
        trunking.use(Resolver(udp.family, self._clock))
        gate = Gate(trunking.admits)
        profile = AgentProfile(
            self._host,
            bound[1],
            stream_ports={} if settings.tls is None else {"TLS": settings.tls.port},
            timers=settings.timers,
            may_call=gate.may_call,
            may_grow=trunking.may_grow,
            within_budget=gate.within_budget,
        )
        self._agent = UserAgent(profile, sip_token)
        self._signalling = Signalling(udp, self._agent, self._clock, self)
        local = "" if ip_literal(bound[0]) is None or bound[0] in ("0.0.0.0", "::") else bound[0]  # noqa: S104
        await self._signalling.open_streams(tcp, settings.tls, trunking, local)
        await trunking.start(self._agent, self._carry, self._host)

    async def stop(self) -> None:
        """Hang up what is left, wait for it within bounds, and give the sockets and the media process back."""
        self._stopping = True
        if self._signalling is None:
            return
        for leg_id in tuple(self._legs):
            self.hang_up(leg_id)
        try:
            async with asyncio.timeout(self._settings.stop_limit_seconds):
                await self._empty.wait()
        except TimeoutError:
            log.warning("%d legs did not end within %g s", len(self._legs), self._settings.stop_limit_seconds)
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for leg in tuple(self._legs.values()):
            self._finish(leg, self._cut_off(leg))
        await self._trunking.stop()
        self._signalling.close()
        self._signalling = None
        await self._media.stop()

    def route(self, destination: str) -> Route:
        """Choose who takes a call to `destination`; TelephonyError when nobody does."""
        return Route(self._trunking.choose(destination).name, sip_token())

    def dial(self, leg_id: str, source: str, destination: str, route: Route, trace: Trace) -> None:
        """Call `destination`, showing `source` (E.164 with +). ValueError when a leg of that id runs."""
        if leg_id in self._legs:
            raise ValueError(f"leg {leg_id} was dialled already")
        leg = Leg(leg_id, source, destination, self._trunks[route.trunk], route.sip_call_id, trace)
        leg.sdp_session_id = secrets.randbits(62)
        self._legs[leg_id] = leg
        self._leg_of_call[leg.sip_call_id] = leg
        self._empty.clear()
        self._run(self._prepare(leg), leg)

    def hang_up(self, leg_id: str) -> None:
        """End a leg in whatever state it is, any number of times; unknown legs are over already."""
        leg = self._legs.get(leg_id)
        if leg is None:
            return
        leg.hang_up_wanted = True
        if leg.stage in (Stage.CALLING, Stage.UP):
            self._carry(self._agent.hang_up(self._clock(), leg.sip_call_id, NORMAL_CLEARING))
        else:
            self._trunking.withdraw(leg_id)

    def play(self, leg_id: str, playback_id: str, prompt: Prompt, repetition: int) -> None:
        """Play a prompt `repetition` times; on a leg that is not up there is nobody to hear it, and nothing happens."""
        leg = self._legs.get(leg_id)
        if leg is None or leg.stage is not Stage.UP or leg.given_up is not None:
            return
        try:
            self._media.play(leg_id, playback_id, prompt, repetition)
        except TelephonyError as error:
            leg.trace.add(self._clock(), "rtp.playback_cut", leg_id=leg_id, reason=str(error))
            self._post(leg_id, events.PlaybackFinished(self._clock(), leg_id, playback_id, completed=False))

    def stop_playback(self, leg_id: str, playback_id: str) -> None:
        """Cut a playback short; unknown or finished ones are ignored."""
        leg = self._legs.get(leg_id)
        if leg is not None and leg.stage is Stage.UP and leg.given_up is None:
            self._media.stop_playback(leg_id, playback_id)

    # --- dialling --------------------------------------------------------------------------------------------------

    async def _prepare(self, leg: Leg) -> None:
        try:
            leg.attempts = await self._trunking.admit(leg.leg_id, leg.trunk)
        except TrunksFull as error:
            if leg.hang_up_wanted:
                self._end(leg, legs.not_dialled(leg, self._clock()))
            else:
                self._end(leg, legs.could_not_dial(leg, self._clock(), ErrorCode.TRUNK_CAPACITY, str(error)))
            return
        except TelephonyError as error:
            self._end(leg, legs.could_not_dial(leg, self._clock(), ErrorCode.CONNECTIVITY, str(error)))
            return
        leg.admitted = leg.attempts[0].trunk
        try:
            leg.local = await self._media.open(leg.leg_id)
        except TelephonyError as error:
            code = ErrorCode.TRUNK_CAPACITY if self._media.ready else ErrorCode.INTERNAL
            self._end(leg, legs.could_not_dial(leg, self._clock(), code, str(error)))
            return
        if leg.hang_up_wanted:
            self._end(leg, legs.not_dialled(leg, self._clock()))
        else:
            self._invite(leg)

    def _invite(self, leg: Leg) -> None:
        now = self._clock()
        attempt = leg.attempts.pop(0)
        trunk, next_hop = attempt.trunk, attempt.address
        leg.trunk, leg.was_heard = trunk, False
        try:
            offer = leg.offer()
        except SdpError as error:
            reason = f"trunk {trunk.name}: {error}"
            self._end(leg, legs.could_not_dial(leg, now, ErrorCode.INTERNAL, reason))
            return
        leg.trace.add(
            now,
            "telephony.trunk",
            leg_id=leg.leg_id,
            trunk=trunk.name,
            address=place_text(next_hop),
            sip_call_id=leg.sip_call_id,
            codecs=" ".join(trunk.codecs),
        )
        callee = trunk.callee(leg.destination)
        leg.stage = Stage.CALLING
        if leg.attempts:
            leg.patience = asyncio.get_running_loop().call_later(FAILOVER_SECONDS, self._impatient, leg)
        self._carry(
            self._agent.invite(
                now,
                leg.sip_call_id,
                target=callee,
                next_hop=next_hop,
                from_=trunk.caller(leg.source, self._host),
                to=NameAddr(str(callee)),
                offer=offer,
                extra_headers=trunk.call_headers(leg.source, self._host, leg.trace.session_id),
                credentials=Credentials(trunk.username, trunk.password) if trunk.username else None,
            )
        )

    # --- what the user agent tells (signalling.News) -----------------------------------------------------------------

    def told(self, output: Output) -> None:
        """One output of the user agent."""
        leg = self._leg_of_call.get(output.call_id)
        if isinstance(output, outputs.Replied):
            self._trunking.replied(output)
        elif isinstance(output, outputs.IncomingCall):
            self._carry(self._agent.reject(self._clock(), output.call_id, 403))
        elif leg is not None and leg.stage is not Stage.ENDING:
            self._told_of(leg, output)

    def _told_of(self, leg: Leg, output: Output) -> None:
        match output:
            case outputs.CallProceeding():
                self._heard(leg)
            case outputs.CallRinging():
                self._ringing(leg, output)
            case outputs.CallAnswered():
                self._answered(leg, output.sdp)
            case outputs.CallFailed():
                self._failed(leg, output)
            case outputs.CallEnded():
                self._end(leg, legs.hung_up(leg, self._clock(), by_peer=output.by_peer, reason=output.reason))
            case outputs.ChangeOffered():
                self._change(leg, output.sdp)
            case outputs.ChangeConfirmed():
                self._change_confirmed(leg, output.sdp)
            case outputs.ChangeRefused():
                leg.trace.add(self._clock(), "telephony.change_refused", status=output.status, reason=output.reason)
            case outputs.DigitByInfo():
                self._digit(leg, output.digit, DigitWay.INFO, self._clock())
            case _:
                pass  # CallConfirmed: only calls to us are confirmed, and none is answered

    def recorded(self, call_id: str, data: bytes, peer: Address, *, sent: bool) -> None:
        """A message of a call, for its trace."""
        leg = self._leg_of_call.get(call_id)
        if leg is None:
            return
        text = readable_text(data)
        leg.trace.add(
            self._clock(),
            "sip.sent" if sent else "sip.received",
            leg_id=leg.leg_id,
            line=text.partition("\n")[0].rstrip("\r"),
            cseq=_cseq(text),
            peer=place_text(peer),
            text=text,
        )

    def _heard(self, leg: Leg) -> None:
        """The trunk works on the call: no other address is tried."""
        leg.was_heard = True
        leg.stop_waiting()
        self._trunking.heard(leg.trunk)

    def _ringing(self, leg: Leg, ringing: outputs.CallRinging) -> None:
        self._heard(leg)
        now = self._clock()
        if ringing.sdp:
            try:
                self._connect(leg, self._agreed(leg, ringing.sdp))
            except SdpError as error:
                # The answer may still be a good one; until then there is just nothing to hear.
                leg.trace.add(now, "telephony.early_media_unusable", leg_id=leg.leg_id, reason=str(error))
            else:
                leg.early_media = True
        if not leg.rang or (ringing.sdp and leg.early_media):
            self._post(leg.leg_id, events.Ringing(now, leg.leg_id, leg.early_media))
        leg.rang = True

    def _answered(self, leg: Leg, answer: bytes) -> None:
        try:
            agreed = self._agreed(leg, answer)
            self._connect(leg, agreed)
        except SdpError as error:
            self._give_up(leg, NOT_ACCEPTABLE_HERE, f"the answer to our offer cannot be used: {error}")
            return
        leg.stage = Stage.UP
        self._post(leg.leg_id, events.Answered(self._clock(), leg.leg_id, agreed.codec))

    def _failed(self, leg: Leg, failure: outputs.CallFailed) -> None:
        leg.stop_waiting()
        goes_on = self._trunking.goes_on(leg.trunk, failure, was_heard=leg.was_heard)
        if goes_on and not leg.hang_up_wanted and leg.given_up is None and self._next(leg):
            self._invite(leg)  # a further address of the trunk, or of its group (RFC 3263 §4.3)
        else:
            self._end(leg, legs.not_answered(leg, failure, self._clock()))

    def _next(self, leg: Leg) -> bool:
        """Whether there is a further attempt, now the first of the list, at a trunk with room for the call."""
        while leg.attempts:
            following = leg.attempts[0].trunk
            if not self._trunking.is_closed(following) and (
                leg.admitted is None or self._trunking.move(leg.admitted, following)
            ):
                leg.admitted = following
                return True
            leg.attempts.pop(0)
        return False

    def _impatient(self, leg: Leg) -> None:
        """Nothing was heard from this address: try the next one, and take this call back should it answer after all."""
        leg.patience = None
        if leg.stage is not Stage.CALLING or leg.was_heard or leg.hang_up_wanted or leg.given_up is not None:
            return
        self._trunking.silent(leg.trunk)
        if not self._next(leg):
            return
        now = self._clock()
        leg.trace.add(now, "telephony.failover", leg_id=leg.leg_id, trunk=leg.trunk.name, reason="no sign of life")
        abandoned, leg.sip_call_id = leg.sip_call_id, sip_token()
        self._leg_of_call.pop(abandoned, None)
        self._leg_of_call[leg.sip_call_id] = leg
        self._carry(self._agent.hang_up(now, abandoned, NORMAL_CLEARING))
        self._invite(leg)

    def _change(self, leg: Leg, offer: bytes) -> None:
        """The peer changes the session: hold, another address, or nothing but a sign of life."""
        now = self._clock()
        try:
            if offer:
                answer, agreed = leg.answer(offer)
                self._connect(leg, agreed)
            else:
                answer = leg.offer()  # the peer wants ours; its answer comes with the ACK
        except SdpError as error:
            leg.trace.add(now, "telephony.change_refused_by_us", leg_id=leg.leg_id, reason=str(error))
            self._carry(self._agent.refuse_change(now, leg.sip_call_id, NOT_ACCEPTABLE_HERE))
            return
        self._carry(self._agent.accept_change(now, leg.sip_call_id, answer))

    def _change_confirmed(self, leg: Leg, answer: bytes) -> None:
        try:
            self._connect(leg, self._agreed(leg, answer))
        except SdpError as error:
            self._give_up(leg, NOT_ACCEPTABLE_HERE, f"the answer to our offer cannot be used: {error}")

    def _agreed(self, leg: Leg, answer: bytes) -> Negotiated:
        if leg.offered is None:
            raise SdpError("an answer without an offer")
        if not answer:
            raise SdpError("there is none")
        return read_answer(leg.offered, sdp.parse(answer))

    def _connect(self, leg: Leg, agreed: Negotiated) -> None:
        remote = legs.remote_media(agreed, leg.remote)
        if leg.local is None or remote == leg.remote:
            return
        try:
            self._media.connect(leg.leg_id, remote)
        except TelephonyError as error:
            raise SdpError(str(error)) from error
        leg.remote = remote
        leg.trace.add(
            self._clock(),
            "telephony.media",
            leg_id=leg.leg_id,
            trunk=leg.trunk.name,
            codec=agreed.codec,
            local=place_text((leg.local.host, leg.local.port)),
            remote=place_text((agreed.host, agreed.port)),
            direction=agreed.direction,
            telephone_events=remote.event_payload_type is not None,
        )

    # --- what the media plane tells ----------------------------------------------------------------------------------

    def _media_event(self, event: media.MediaEvent) -> None:
        if isinstance(event, media.MediaGone):
            self._media_gone(event.reason)
            return
        leg = self._legs.get(event.stream_id)
        if leg is None or leg.stage is Stage.ENDING:
            return
        match event:
            case media.PlaybackStarted():
                self._post(leg.leg_id, events.PlaybackStarted(event.at, leg.leg_id, event.playback_id))
            case media.PlaybackFinished():
                if event.reason:
                    leg.trace.add(event.at, "rtp.playback_cut", leg_id=leg.leg_id, reason=event.reason)
                finished = events.PlaybackFinished(event.at, leg.leg_id, event.playback_id, event.completed)
                self._post(leg.leg_id, finished)
            case media.DigitPressed():
                self._digit(leg, event.digit, DigitWay.RTP, event.at)
            case media.StreamSilent():
                leg.trace.add(event.at, "rtp.silent", leg_id=leg.leg_id, seconds=event.silent_seconds)

    def _digit(self, leg: Leg, digit: str, way: DigitWay, at: float) -> None:
        if not leg.is_repeated(digit, way, at):
            self._post(leg.leg_id, events.DigitPressed(at, leg.leg_id, digit))

    def _media_gone(self, reason: str) -> None:
        """The media process died: all its legs are deaf and dumb, so they end."""
        log.error("the media process is gone: %s; %d legs end", reason, len(self._legs))
        for leg in tuple(self._legs.values()):
            if leg.local is not None:
                leg.local = None
                self._give_up(leg, UNAVAILABLE, f"the media process is gone: {reason}")
        if not self._stopping:
            self._run(self._restart_media())

    async def _restart_media(self) -> None:
        while True:
            try:
                await self._media.start()
            except TelephonyError as error:
                log.error("the media process does not start: %s", error)  # noqa: TRY400  the text says all of it
                await asyncio.sleep(MEDIA_RESTART_SECONDS)
            else:
                return

    # --- endings ---------------------------------------------------------------------------------------------------

    def _give_up(self, leg: Leg, status: int, reason: str) -> None:
        """End a leg of our own accord: nobody could hear anything on it."""
        if leg.stage is Stage.ENDING or leg.given_up is not None:
            return
        leg.given_up = (status, reason)
        leg.trace.add(self._clock(), "telephony.given_up", leg_id=leg.leg_id, status=status, reason=reason)
        if leg.stage in (Stage.CALLING, Stage.UP):
            self._carry(self._agent.hang_up(self._clock(), leg.sip_call_id, f"SIP;cause={status}"))

    def _end(self, leg: Leg, last: Event) -> None:
        """The signalling is done with: fetch the stream's figures, then post the leg's last event."""
        leg.stage, leg.last = Stage.ENDING, last
        if leg.local is None:
            self._finish(leg, last)
        else:
            self._run(self._close_media(leg, last), leg)

    async def _close_media(self, leg: Leg, last: Event) -> None:
        report: StreamReport | None = None
        try:
            report = await self._media.close(leg.leg_id)
        except TelephonyError as error:
            leg.trace.add(self._clock(), "rtp.report_missing", leg_id=leg.leg_id, reason=str(error))
        if report is not None and leg.remote is not None:
            leg.trace.add(self._clock(), "rtp.report", leg_id=leg.leg_id, **legs.report_fields(report))
        if isinstance(last, HungUp):
            last = replace(last, quality=legs.quality_of(report))
        self._finish(leg, last)

    def _finish(self, leg: Leg, last: Event) -> None:
        if self._legs.pop(leg.leg_id, None) is None:
            return
        self._leg_of_call.pop(leg.sip_call_id, None)
        leg.stop_waiting()
        if leg.admitted is not None:
            self._trunking.leave(leg.admitted)
        if not self._legs:
            self._empty.set()
        self._post(leg.leg_id, last)

    def _cut_off(self, leg: Leg) -> Event:
        """The last event of a leg that did not end while telephony stopped."""
        if leg.last is not None:
            return leg.last
        now, reason = self._clock(), "telephony stopped before the peer confirmed the end"
        if leg.stage is Stage.UP:
            return HungUp(now, leg.leg_id, HungUpBy.US, reason)
        return NotAnswered(now, leg.leg_id, CallStatus.CANCELED, None, reason)

    # --- carrying --------------------------------------------------------------------------------------------------

    def _carry(self, wishes: list[Output]) -> None:
        if self._signalling is not None:
            self._signalling.carry(wishes)

    def _run(self, work: Coroutine[None, None, None], leg: Leg | None = None) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)

        def done(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            if task.cancelled() or task.exception() is None:
                return
            log.error("telephony failed at its work", exc_info=task.exception())
            if leg is not None:  # a mistake of ours must not leave a leg without an end
                now, reason = self._clock(), "telephony failed; the log says how"
                self._finish(leg, leg.last or legs.could_not_dial(leg, now, ErrorCode.INTERNAL, reason))

        task.add_done_callback(done)


def _cseq(text: str) -> str:
    """The CSeq of a message, for its record."""
    for line in text.split("\n"):
        name, colon, value = line.partition(":")
        if colon and name.strip().lower() == "cseq":
            return value.strip()
        if not line.strip():
            break
    return ""
