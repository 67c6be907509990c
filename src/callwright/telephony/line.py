"""Telephony's door: dials legs over trunks and takes calls in, plays, listens, bridges, records, hangs up, and posts
what became of each leg.

Every leg that was dialled or taken ends in exactly one NotAnswered or HungUp; `leg.py` says what the ends mean,
`outgoing.py` and `incoming.py` how legs come up, `exchange.py` what all of them share.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from callwright.audio.prompt import Prompt
from callwright.callflow import events
from callwright.callflow.events import Event
from callwright.errors import TelephonyError
from callwright.settings import HostPort
from callwright.sip import outputs
from callwright.sip.agent import UserAgent
from callwright.sip.memo import Memo, encode_memos
from callwright.sip.outputs import Address, Output
from callwright.sip.profile import AgentProfile
from callwright.sip.stun import Mapped
from callwright.sip.transactions.timers import Timers
from callwright.telemetry.clock import Clock
from callwright.telemetry.trace import FieldValue, Trace
from callwright.telephony import leg as legs
from callwright.telephony.condition import TrunkReport
from callwright.telephony.equipment import Equipment
from callwright.telephony.exchange import UNAVAILABLE, Exchange
from callwright.telephony.ground import Ground
from callwright.telephony.incoming import Incoming, Received, refuse_everybody
from callwright.telephony.keys import KeyWay
from callwright.telephony.leg import Leg, Stage
from callwright.telephony.media import events as media
from callwright.telephony.media.plane import MediaPlane
from callwright.telephony.media.planes import MediaPlanes
from callwright.telephony.orphans import Keep, Memos, Orphans
from callwright.telephony.outgoing import Outgoing
from callwright.telephony.reach import Listens, Reach
from callwright.telephony.resolver import Resolver
from callwright.telephony.signalling import OTHERS_PER_SECOND, Gate, Listening, Signalling
from callwright.telephony.trunk import Trunk, ip_literal
from callwright.telephony.trunking import Trunking

log = logging.getLogger(__name__)

MEDIA_RESTART_SECONDS = 1.0
"""Between two attempts to start a media process that died."""
MOST_UNCLAIMED = 8
"""Messages of a call that is not known yet: its INVITE, and our 100."""
LAST_RECORDINGS_SECONDS = 2.0
"""How long `stop` waits for recordings to be on disk."""


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
    media_processes: int = 1
    "that send and receive RTP"
    tls: Listening | None = None
    "where peers connect with TLS"
    advertise: HostPort | None = None
    "where trunks reach us; port 0: the one that SIP is bound to"
    stun: HostPort | None = None
    "who says where that is"
    stop_limit_seconds: float = 4.0
    "how long `stop` waits for answers to its BYEs and CANCELs"
    timers: Timers = field(default_factory=Timers)
    "of SIP transactions; the defaults are RFC 3261's"
    decide_seconds: float = 30.0
    "how long a call that came in waits for `take` or `refuse`"
    silence_seconds: float = 20.0
    "without RTP and RTCP, until the trace says so and the peer is asked for a sign of life"
    probe_seconds: float = 8.0
    "that it has for one; without it the call is over"
    log_level: str = "info"
    log_format: str = "text"
    "of the media process, as for telemetry.log.configure"


@dataclass(frozen=True, slots=True)
class Route:
    """How a leg will be dialled, known before it is."""

    trunk: str
    sip_call_id: str
    tag: str = ""
    memo: Memo | None = None

    @property
    def dialog(self) -> str:
        """What ends the call without us: to be written down before it is dialled."""
        return "" if self.memo is None else encode_memos([self.memo])


@dataclass(frozen=True, slots=True)
class RecordingDone:
    """A recording's file is closed; nothing more comes of it."""

    recording_id: str
    leg_id: str
    path: Path
    duration_seconds: float
    "of sound in the file; 0 when there is none"
    at: float
    failure: str
    "why it is not whole, or not there; empty when it is whole"


def let_it_be(_done: RecordingDone) -> None:
    """What is done with finished recordings when nobody wants to know."""


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
    """Lines to the outside. `post(leg_id, event)` is called on the loop for each thing that happens to a leg.

    `received` is called for each call that comes in; without it calls to us are refused. `recorded` is called once for
    each `record`, perhaps after the leg is over. `ground` is what it stands on: this machine, unless told otherwise.
    """

    def __init__(
        self,
        settings: TelephonySettings,
        clock: Clock,
        post: Callable[[str, Event], None],
        *,
        received: Callable[[Received], None] = refuse_everybody,
        recorded: Callable[[RecordingDone], None] = let_it_be,
        keep: Keep | None = None,
        may_dial: Callable[[], bool] = lambda: True,
        ground: Ground | None = None,
    ) -> None:
        self._settings = settings
        self._ground = ground or Ground()
        self._clock = clock
        self._received = received
        self._tell_recorded = recorded
        self._recordings: dict[str, tuple[str, str]] = {}
        "path → recording and leg"
        self._all_recorded = asyncio.Event()
        self._all_recorded.set()
        self._changing = asyncio.Lock()
        self._exchange = Exchange(clock, post)
        self._keep = keep
        self._exchange.may_dial = may_dial
        self._stopping = False
        self._restarting = False
        self._trunking = Trunking(settings.trunks, clock, self._ground.token, self._ground.chance)
        self._unclaimed: list[tuple[str, bytes, Address, bool]] = []
        self._equipment = Equipment(self._ground, settings.trunks)
        self._media: MediaPlanes
        self._resolver: Resolver
        self._outgoing: Outgoing
        self._incoming: Incoming
        self.address: Address = (settings.sip_host, settings.sip_port)
        "where SIP is bound, once started"

    # --- the door --------------------------------------------------------------------------------------------------

    @property
    def ready(self) -> bool:
        """Legs can be dialled: SIP is bound and the media process is up."""
        return self._exchange.signalling is not None and self._media.ready and not self._stopping

    @property
    def legs(self) -> int:
        """Legs whose last event was not posted yet."""
        return len(self._exchange.legs)

    @property
    def transactions(self) -> int:
        """SIP transactions that have not terminated, those that only linger for repetitions included."""
        return self._exchange.agent.transactions if self._exchange.signalling is not None else 0

    @property
    def streams(self) -> int:
        """Streams of sound that are open, each with its ports."""
        return self._media.streams if self._exchange.signalling is not None else 0

    async def start(self) -> None:
        """Bind SIP and start the media process; TelephonyError names the flag that changes what is taken."""
        settings, ground = self._settings, self._ground
        udp, tcp = ground.bind(settings.sip_host, settings.sip_port)
        try:
            bound = udp.getsockname()
            self.address = (bound[0], bound[1])
            host = reachable_host(bound[0], settings.trunks)
            rtp_host = settings.rtp_host or host
            self._media = MediaPlanes(
                lambda ports, post: self._media_plane(rtp_host, ports, post),
                settings.rtp_ports,
                settings.media_processes,
                self._media_event,
            )
            await self._media.start()
        except BaseException:
            udp.close()
            tcp.close()
            raise
        self._equipment.start()
        trunking = self._trunking
        self._resolver = Resolver(udp.family, self._clock, ground.names, ground.chance)
        trunking.use(self._resolver)
        self._orphans = orphans = Orphans(self._exchange, trunking.find, self._resolver.resolve, self._keep)
        gate = Gate(lambda host: trunking.admits(host) or host in orphans.hosts, others_per_second=OTHERS_PER_SECOND)
        exchange = self._exchange
        exchange.reach = Reach(
            Listens(host, bound[1], bound[1] if settings.tls is None else settings.tls.port),
            self._resolver,
            exchange.send_datagram,
            trunking.register_anew,
            advertise=settings.advertise,
            server=settings.stun,
        )
        profile = AgentProfile(
            host,
            bound[1],
            stream_ports={} if settings.tls is None else {"TLS": settings.tls.port},
            timers=settings.timers,
            reached_at=exchange.reach.place,
            may_call=gate.may_call,
            may_grow=trunking.may_grow,
            within_budget=gate.within_budget,
            hold_acks=self._keep is not None,
        )
        exchange.agent = UserAgent(profile, ground.token)
        exchange.media = self._media
        if self._keep is not None:
            memos = Memos(exchange, self._keep)
            exchange.moved_on, exchange.picked_up = memos.note, memos.answered
        self._outgoing = Outgoing(exchange, trunking, ground.token, ground.chance)
        exchange.finished = self._finished
        self._incoming = Incoming(exchange, self._trunk_of, self._received, settings.decide_seconds, ground.chance)
        exchange.signalling = Signalling(udp, exchange.agent, self._clock, self)
        exchange.signalling.asked = gate.ask
        local = "" if bound[0] in ("0.0.0.0", "::") else bound[0]  # noqa: S104  compared, not bound
        await exchange.signalling.open_streams(tcp, settings.tls, trunking, local)
        exchange.signalling.stun = exchange.reach.received
        await exchange.reach.serve(trunking.trunks)
        await trunking.start(exchange.agent, exchange.carry, exchange.reach.host)

    def _media_plane(self, host: str, ports: range, post: Callable[[media.MediaEvent], None]) -> MediaPlane:
        settings = self._settings
        plane = self._ground.media(
            host, ports, self._clock, post, settings.silence_seconds, settings.log_level, settings.log_format
        )
        return self._equipment.fit(plane)

    async def stop(self) -> None:
        """Hang up what is left, wait for it within bounds, and give the sockets and the media process back."""
        self._stopping = True
        exchange = self._exchange
        if exchange.signalling is None:
            return
        for leg_id in tuple(exchange.legs):
            self.hang_up(leg_id)
        try:
            async with asyncio.timeout(self._settings.stop_limit_seconds):
                await exchange.empty.wait()
        except TimeoutError:
            log.warning("%d legs did not end within %g s", self.legs, self._settings.stop_limit_seconds)
        for task in tuple(exchange.tasks):
            task.cancel()
        await asyncio.gather(*exchange.tasks, return_exceptions=True)
        for leg in tuple(exchange.legs.values()):
            exchange.cut_off(leg)
        self._incoming.stop()
        await self._trunking.stop()
        await exchange.reach.stop()
        exchange.signalling.close()
        exchange.signalling = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_RECORDINGS_SECONDS):
                await self._all_recorded.wait()
        await self._media.stop()
        self._lose_recordings("telephony stopped before it was on disk")
        self._equipment.close()

    def route(self, destination: str, source: str) -> Route:
        """Choose who takes a call to `destination`, and what its INVITE will say; TelephonyError when nobody does."""
        trunk = self._trunking.choose(destination)
        call_id, tag = self._ground.token(), self._ground.token()
        place = self._resolver.first_known(trunk) or ("", 0)
        return Route(trunk.name, call_id, tag, self._outgoing.foresee(trunk, source, destination, call_id, tag, place))

    def dial(self, leg_id: str, source: str, destination: str, route: Route, trace: Trace) -> None:
        """Call `destination`, showing `source` (E.164 with +). ValueError when a leg of that id runs."""
        trunk = self._trunking.find(route.trunk) or Trunk(route.trunk, "")  # one that went meanwhile refuses the call
        leg = Leg(leg_id, source, destination, trunk, route.sip_call_id, trace)
        leg.tag = route.tag
        if route.memo is not None:
            leg.memos[route.memo.local] = route.memo
        self._outgoing.dial(leg)

    async def end_orphan(self, leg_id: str, trunk: str, dialog: str, trace: Trace) -> None:
        """End a leg of a process that is gone, from what it wrote down: CANCEL, BYE or 503.

        Returns when the far end confirmed that, or was not heard for two seconds; it is told again all the same.
        """
        await self._orphans.end(leg_id, trunk, dialog, trace)

    def take(self, leg_id: str, trace: Trace) -> None:
        """Let a call that came in ring; its events are posted from now on.

        A caller who left meanwhile makes a NotAnswered. ValueError for a leg that was taken or dialled already.
        """
        self._incoming.take(leg_id, trace)

    def refuse(self, leg_id: str, *, busy: bool = False) -> None:
        """Turn a call that came in away: 403, which says only that it may not call; 503 to try elsewhere if `busy`."""
        self._incoming.refuse(leg_id, busy=busy)

    def pick_up(self, leg_id: str) -> None:
        """Answer a call that was taken; Answered follows when the caller has acknowledged it, else NotAnswered."""
        self._incoming.pick_up(leg_id)

    def hang_up(self, leg_id: str) -> None:
        """End a leg in whatever state it is, any number of times; unknown legs are over already."""
        leg = self._exchange.legs.get(leg_id)
        if leg is not None:
            leg.hang_up_wanted = True
            self._trunking.withdraw(leg_id)
            self._exchange.hang_up(leg)

    def play(self, leg_id: str, playback_id: str, prompt: Prompt, repetition: int) -> None:
        """Play a prompt `repetition` times, 0 until it is stopped.

        On a leg that is not up there is nobody to hear it, and nothing happens.
        """
        leg = self._exchange.up(leg_id)
        if leg is None:
            return
        try:
            self._media.play(leg_id, playback_id, prompt, repetition)
        except TelephonyError as error:
            leg.trace.add(self._clock(), "rtp.playback_cut", leg_id=leg_id, reason=str(error))
            self._exchange.post(leg, events.PlaybackFinished(self._clock(), leg_id, playback_id, completed=False))

    def stop_playback(self, leg_id: str, playback_id: str) -> None:
        """Cut a playback short; unknown or finished ones are ignored."""
        if self._exchange.up(leg_id) is not None:
            self._media.stop_playback(leg_id, playback_id)

    def ring_back(self, leg_id: str, playback_id: str) -> None:
        """Let a leg hear that another phone rings, until `stop_playback`."""
        self.play(leg_id, playback_id, self._equipment.ringback, 0)

    def bridge(self, leg_id: str, other_leg_id: str) -> None:
        """Let two legs that are up hear each other until either is over; else its end is on its way already."""
        leg, other = self._exchange.up(leg_id), self._exchange.up(other_leg_id)
        if leg is None or other is None or leg is other:
            return
        codecs = [one.remote.codec for one in (leg, other) if one.remote is not None]
        fields: dict[str, FieldValue] = {"leg_id": leg_id, "other_leg_id": other_leg_id, "codecs": " ".join(codecs)}
        try:
            self._media.bridge(leg_id, other_leg_id)
        except TelephonyError as error:
            fields["reason"] = str(error)
        for trace in {id(one.trace): one.trace for one in (leg, other)}.values():
            trace.add(self._clock(), "telephony.bridge", **fields)

    def listen(self, leg_id: str, wanted: bool) -> None:
        """Find keys among a leg's sounds too, or no longer; telephone-events and INFO are always noticed."""
        leg = self._exchange.up(leg_id)
        if leg is None:
            return
        try:
            self._media.listen(leg_id, wanted)
        except TelephonyError as error:
            leg.trace.add(self._clock(), "telephony.deaf", leg_id=leg_id, reason=str(error))

    def record(self, leg_id: str, recording_id: str, path: Path) -> None:
        """Record a leg until it is over: 16-bit stereo WAV at 8 kHz, left what it says, right what it hears.

        The file must not be there yet. RecordingDone follows in any case, once.
        """
        leg = self._exchange.up(leg_id)
        failure = ""
        try:
            if leg is None:
                failure = "the leg is not up"
            else:
                self._media.record(leg_id, str(path))
        except TelephonyError as error:
            failure = str(error)
        if leg is not None:
            leg.trace.add(self._clock(), "telephony.record", leg_id=leg_id, recording_id=recording_id, failure=failure)
        if failure:
            self._tell_recorded(RecordingDone(recording_id, leg_id, path, 0.0, self._clock(), failure))
        else:
            self._recordings[str(path)] = (recording_id, leg_id)
            self._all_recorded.clear()

    def stop_recording(self, leg_id: str) -> None:
        """Finish the leg's recording now; without one nothing happens."""
        if self._exchange.up(leg_id) is not None:
            self._media.stop_recording(leg_id)

    # --- what the user agent tells (signalling.News) -----------------------------------------------------------------

    def told(self, output: Output) -> None:
        """One output of the user agent."""
        if isinstance(output, outputs.IncomingCall):
            self._arrived(output)
            return
        if isinstance(output, outputs.Replied):
            self._trunking.replied(output)
            return
        leg = self._exchange.leg_of_call.get(output.call_id)
        if leg is None:
            self._orphans.told(output)
            return
        if isinstance(output, outputs.UnwantedAnswer):
            self._exchange.picked_up(leg)
            return
        if leg.stage is Stage.ENDING:
            return
        match output:
            case outputs.CallProceeding():
                self._outgoing.heard(leg)
            case outputs.CallRinging():
                self._outgoing.ringing(leg, output)
            case outputs.CallAnswered():
                self._outgoing.answered(leg, output.sdp)
            case outputs.CallConfirmed():
                self._incoming.confirmed(leg, output.sdp)
            case outputs.CallFailed():
                (self._incoming if leg.inbound else self._outgoing).failed(leg, output)
            case _:
                self._told_of_an_answered_call(leg, output)

    def _told_of_an_answered_call(self, leg: Leg, output: Output) -> None:
        exchange = self._exchange
        match output:
            case outputs.CallEnded():
                exchange.end(leg, legs.hung_up(leg, self._clock(), by_peer=output.by_peer, reason=output.reason))
            case outputs.ChangeOffered():
                exchange.change(leg, output.sdp)
            case outputs.ChangeConfirmed():
                exchange.change_confirmed(leg, output.sdp)
            case outputs.ChangeRefused():
                leg.trace.add(self._clock(), "telephony.change_refused", status=output.status, reason=output.reason)
            case outputs.DigitByInfo():
                exchange.digit(leg, output.digit, KeyWay.INFO, self._clock(), (output.duration_ms or 0) / 1000)
            case _:
                pass  # Transmit and Received: Signalling carries them, and tells them to nobody

    def _arrived(self, call: outputs.IncomingCall) -> None:
        if self._stopping:
            self._exchange.carry(self._exchange.agent.reject(self._clock(), call.call_id, UNAVAILABLE))
            return
        leg = self._incoming.arrive(call)
        if leg is not None:
            for call_id, data, peer, sent in self._unclaimed:
                if call_id == call.call_id:
                    self._exchange.record_message(leg, data, peer, sent=sent)
            self._incoming.tell(leg)
        self._unclaimed.clear()

    def recorded(self, call_id: str, data: bytes, peer: Address, *, sent: bool) -> None:
        """A message of a call, for its trace. Those of a call that just comes in are told before the call itself."""
        leg = self._exchange.leg_of_call.get(call_id)
        if leg is not None:
            self._exchange.record_message(leg, data, peer, sent=sent)
            return
        self._unclaimed.append((call_id, data, peer, sent))
        del self._unclaimed[:-MOST_UNCLAIMED]

    # --- what the media plane tells ----------------------------------------------------------------------------------

    def _media_event(self, event: media.MediaEvent) -> None:
        if isinstance(event, media.MediaGone):
            self._media_gone(event.reason, event.stream_ids)
            return
        if isinstance(event, media.RecordingFinished):
            self._finish_recording(event.path, event.duration_seconds, event.at, event.reason)
            return
        exchange = self._exchange
        leg = exchange.legs.get(event.stream_id)
        if leg is None or leg.stage is Stage.ENDING:
            return
        match event:
            case media.PlaybackStarted():
                exchange.post(leg, events.PlaybackStarted(event.at, leg.leg_id, event.playback_id))
            case media.PlaybackFinished():
                if event.reason:
                    leg.trace.add(event.at, "rtp.playback_cut", leg_id=leg.leg_id, reason=event.reason)
                finished = events.PlaybackFinished(event.at, leg.leg_id, event.playback_id, event.completed)
                exchange.post(leg, finished)
            case media.DigitPressed():
                exchange.digit(leg, event.digit, KeyWay.TONE if event.in_band else KeyWay.EVENT, event.at)
            case media.StreamMoved():
                exchange.moved(leg, event.port)
            case media.StreamSilent():
                leg.trace.add(event.at, "rtp.silent", leg_id=leg.leg_id, seconds=event.silent_seconds)
                limit_seconds = self._settings.probe_seconds
                exchange.carry(exchange.agent.probe(self._clock(), leg.sip_call_id, limit_seconds))

    def _finish_recording(self, path: str, duration_seconds: float, at: float, failure: str) -> None:
        recording_id, leg_id = self._recordings.pop(path)
        if not self._recordings:
            self._all_recorded.set()
        if failure:
            log.error("recording %s of leg %s: %s", recording_id, leg_id, failure)
        self._tell_recorded(RecordingDone(recording_id, leg_id, Path(path), duration_seconds, at, failure))

    def _lose_recordings(self, why: str, leg_ids: frozenset[str] | None = None) -> None:
        """Of these legs, or of all."""
        lost = [path for path, (_, leg_id) in self._recordings.items() if leg_ids is None or leg_id in leg_ids]
        for path in lost:
            self._finish_recording(path, 0.0, self._clock(), why)

    def _media_gone(self, reason: str, leg_ids: frozenset[str]) -> None:
        """A media process died: all its legs are deaf and dumb, so they end."""
        log.error("the media process is gone: %s; %d legs end", reason, len(leg_ids))
        for leg_id in leg_ids:
            leg = self._exchange.legs.get(leg_id)
            if leg is not None and leg.local is not None:
                leg.local = None
                self._exchange.give_up(leg, UNAVAILABLE, f"the media process is gone: {reason}")
        self._lose_recordings(f"the media process is gone: {reason}; the file may lack its end", leg_ids)
        if not self._stopping and not self._restarting:
            self._restarting = True
            self._exchange.run(self._restart_media())

    async def _restart_media(self) -> None:
        while not self._media.ready:
            try:
                await self._media.start()
            except TelephonyError as error:
                log.error("the media process does not start: %s", error)  # noqa: TRY400  the text says all of it
                await asyncio.sleep(MEDIA_RESTART_SECONDS)
        self._restarting = False

    # --- trunks ------------------------------------------------------------------------------------------------------

    def _trunk_of(self, source: Address) -> Trunk | None:
        return self._resolver.trunk_at(source, self._trunking.trunks)

    def _finished(self, leg: Leg) -> None:
        self._outgoing.finished(leg)
        if self._trunking.has_leaving:
            self._trunking.release([leg.trunk for leg in self._exchange.legs.values()])

    async def change_trunks(self, trunks: Sequence[Trunk]) -> None:
        """From now on these carry calls. Calls that are up stay as they are, also when their trunk goes.

        TelephonyError, and nothing is changed, when a trunk's certificate files cannot be used.
        """
        async with self._changing:
            in_use = [leg.trunk for leg in self._exchange.legs.values()]
            await self._equipment.get_ready(trunks, self._media)
            await self._trunking.change(trunks, in_use)
            await self._exchange.reach.serve(self._trunking.served)

    async def seen_from_outside(self, server: HostPort) -> Mapped:
        """How a STUN server sees our SIP socket. TelephonyError when it does not answer."""
        return await self._exchange.reach.ask(server)

    async def ask_trunk(self, name: str) -> list[tuple[Address, outputs.Replied]]:
        """OPTIONS to each address of a trunk, and what became of it. TelephonyError when it has none."""
        return await self._trunking.ask(name)

    def trunk_reports(self) -> list[TrunkReport]:
        """How each trunk is doing."""
        return self._trunking.reports()
