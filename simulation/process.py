"""One process of callwright on a virtual machine, from start to end: the rooms as `callwright.node` joins them.

What is not real is handed in: time, sockets, the media process, prompts, the way to receivers, the thread of the store.
"""

import asyncio
import functools
import json
import random
import socket
import traceback
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, cast

import msgspec

from callwright.api.errors import Edge, callflow_form, problem_form
from callwright.api.platform import Platform
from callwright.api.routes import callflows, sessions
from callwright.audio.prompt import Prompt
from callwright.callflow.summary import SessionSummary
from callwright.contract.policy import RequestPolicy
from callwright.errors import CallwrightError, FileFailed, SpeechFailed
from callwright.node import wiring
from callwright.settings import Settings, load
from callwright.sip.resolution import Answers, Question
from callwright.storage.store import Store
from callwright.switchboard.board import Switchboard
from callwright.switchboard.customer import Customers
from callwright.switchboard.membership import Membership
from callwright.switchboard.ports import Lines, Records
from callwright.telemetry.metrics import Metrics
from callwright.telemetry.trace import Trace, TraceEntry, Watcher
from callwright.telephony.ground import Ground
from callwright.telephony.line import Telephony, TelephonySettings
from callwright.telephony.trunk import Trunk
from callwright.webhooks.delivery import Deliverer, Outbox
from simulation.disk import KEY, SUB_ACCOUNT, Disk, VirtualQueue, Weather
from simulation.loop import ProcessLoop
from simulation.media import Airwaves, SilentTone, VirtualMedia, virtual_prompt
from simulation.network import Address, Network, VirtualSocket
from simulation.phones import TRUNK
from simulation.receivers import Receivers, Wire
from simulation.world import World

RTP_PORTS = range(16_384, 16_640)
RING_TIMEOUT_SECONDS = 25
BRIDGE_SECONDS = 60.0
"""After which two phones that nobody hangs up are parted."""
EndpointCall = Callable[[int, bytes], None]


@dataclass(frozen=True, slots=True)
class Wrongs:
    """Ways to make callwright wrong on purpose: the simulation must notice each of them."""

    records: Callable[[Store], Records] = lambda store: store
    outbox: Callable[[Store], Outbox] = lambda store: store
    lines: Callable[[Telephony], Lines] = lambda telephony: telephony
    answers: Callable[[Store], Store] = lambda store: store


RIGHT = Wrongs()


@dataclass(slots=True)
class Surroundings:
    """What all processes of one simulation stand on."""

    world: World
    network: Network
    airwaves: Airwaves
    disk: Disk
    weather: Weather
    receivers: Receivers
    fault: Callable[[str], None]
    "told of mistakes inside callwright"
    moment: Callable[["Process", str], None]
    "told of each moment at which a process may be killed on purpose"
    is_shared: bool = False
    "several nodes have the database open"
    speech_fails: float = 0.0
    "share of prompts that cannot be made"
    wrongs: Wrongs = RIGHT


@functools.cache
def simulated_settings() -> Settings:
    """What every simulated process is set to."""
    return load("", {}, {"ring_timeout_seconds": str(RING_TIMEOUT_SECONDS)}, development=True)


@dataclass(frozen=True, slots=True)
class Desk:
    """What the routes used here ask of `api.platform.Platform`; there are more that nobody asks for anything."""

    board: Switchboard
    store: Store
    policy_for: Callable[[str], RequestPolicy]
    clock: Callable[[], float]
    new_uuid: Callable[[], str]
    draining: Callable[[], bool]
    body_seconds: float = 10.0
    repeatable: set[tuple[str, str]] = field(default_factory=set)


class VirtualStore(Store):
    """A store whose nodes wake nobody: they look around by themselves, as they do when a wake-up is lost."""

    def listen(self, on_wake: Callable[[str], None]) -> None:
        """Nothing is heard."""


class NoNames:
    """A machine without name servers: the trunk's address is a number."""

    async def ask(self, question: Question, family: socket.AddressFamily) -> Answers:
        """The address itself."""
        return [question.name] if question.kind == "ADDRESS" else []


class NoShelf:
    """Recordings go nowhere."""

    async def begin(
        self, recording_id: str, session_id: str, sub_account_id: str, leg_id: str, at: float
    ) -> str | None:
        """There is no place for them."""
        return None


class VirtualPrompts:
    """Speech and files, made in virtual time."""

    def __init__(self, chance: random.Random, share_that_fails: float) -> None:
        self._chance = chance
        self._share_that_fails = share_that_fails

    async def speech(self, text: str, voice_profile: str, speed: float, trace: Trace) -> Prompt:
        """As long as it takes to say it."""
        await asyncio.sleep(self._chance.uniform(0.05, 1.5))
        if self._chance.random() < self._share_that_fails:
            raise SpeechFailed("no engine speaks")
        return virtual_prompt(text, 0.5 + 0.06 * len(text) / speed)

    async def file(self, sub_account_id: str, url: str, trace: Trace) -> Prompt:
        """Some seconds of sound."""
        await asyncio.sleep(self._chance.uniform(0.05, 3.0))
        if self._chance.random() < self._share_that_fails:
            raise FileFailed("404 Not Found")
        return virtual_prompt(url, 4.0)


@dataclass(slots=True)
class Process:
    """One incarnation. `kill` ends it as kill -9 does, `stop` as SIGTERM does."""

    name: str
    data: str
    "its data folder"
    address: Address
    surroundings: Surroundings
    loop: ProcessLoop = field(init=False)
    alive: bool = True
    ready: bool = False
    "it takes requests"
    stopped: bool = False
    "it ended in order"
    board: Switchboard = field(init=False)
    telephony: Telephony = field(init=False)
    membership: Membership = field(init=False)
    deliverer: Deliverer = field(init=False)
    store: Store = field(init=False)
    _desk: Desk = field(init=False)
    _media: list[VirtualMedia] = field(default_factory=list)
    _sockets: list[VirtualSocket] = field(default_factory=list)
    _queues: list[VirtualQueue] = field(default_factory=list)
    _chance: random.Random = field(init=False)
    _requests: int = 0

    def __post_init__(self) -> None:
        world = self.surroundings.world
        self._chance = world.lots(f"process {self.name}")
        chance = world.lots(f"loop {self.name}")
        self.loop = ProcessLoop(world.clock, chance, self._fault)  # type: ignore[abstract]  # nobody calls the rest
        world.loops.append(self.loop)

    # --- life --------------------------------------------------------------------------------------------------------

    def start(self, idle_look_seconds: float = 10.0) -> None:
        """Begin; `ready` says when requests are taken."""
        world = self.surroundings.world
        world.tell(self.name, "starts")
        self.loop.arrive(world.now, "start", lambda: self._spawn(self._try_to_start(idle_look_seconds)))

    def deliver_only(self, idle_look_seconds: float) -> None:
        """Begin without telephony: only what is owed to customers is carried."""
        world = self.surroundings.world
        self.loop.arrive(world.now, "start", lambda: self._spawn(self._start_deliverer(idle_look_seconds)))

    def kill(self, why: str) -> None:
        """End now, between two steps."""
        if not self.alive:
            return
        self.surroundings.world.tell(self.name, f"ends: {why}")
        self._end()

    def stop(self, drain_seconds: float) -> None:
        """End in order, as long as it takes."""
        self.surroundings.world.tell(self.name, f"is asked to stop within {drain_seconds:.0f} s")
        self.loop.arrive(self.surroundings.world.now, "signal", lambda: self._spawn(self._stop(drain_seconds)))

    def _end(self) -> None:
        self.alive = self.ready = False
        for opened in self._sockets:
            opened.close()
        for queue in self._queues:
            queue.cut()
        for media in self._media:
            media.cut()
        self.surroundings.world.loops.remove(self.loop)
        self.loop.bury()

    def _spawn(self, work: Any) -> None:
        asyncio.get_running_loop().create_task(work)

    def _fault(self, words: str, error: BaseException | None) -> None:
        if error is not None:
            words += "\n" + "".join(traceback.format_exception(error))
        self.surroundings.fault(words)

    def moment(self, kind: str) -> None:
        """Something happened that a process may not survive."""
        if self.alive:
            self.surroundings.moment(self, kind)

    # --- rooms -------------------------------------------------------------------------------------------------------

    def _open_store(self) -> Store:
        around = self.surroundings

        def queue(engine: Any, name: str) -> VirtualQueue:
            moment = functools.partial(self.moment, "commit" if name == "storage-writer" else "question")
            made = VirtualQueue(engine, name, around.world, self.loop, around.weather, moment)
            self._queues.append(made)
            return made

        database = around.disk.database(self.data, is_shared=around.is_shared)
        return VirtualStore(database, around.disk.box, around.world.clock, node_id=self.name, transactions=queue)

    def _media_plane(self, *arguments: Any) -> VirtualMedia:
        around = self.surroundings
        media = VirtualMedia(
            *arguments, world=around.world, loop=self.loop, airwaves=around.airwaves, chance=self._chance
        )
        self._media.append(media)
        return media

    def _bind(self, host: str, port: int) -> tuple[socket.socket, socket.socket]:
        opened = self.surroundings.network.open((host, port))
        self._sockets.append(opened)
        return opened, VirtualSocket(self.surroundings.network, (host, 0), 0)

    def _token(self) -> str:
        return f"{self._chance.getrandbits(96):024x}"

    def _new_uuid(self) -> str:
        return str(uuid.UUID(int=self._chance.getrandbits(128), version=4))

    def _watcher_for(self, session_id: str, _destination: str) -> Watcher:
        world, name = self.surroundings.world, self.name
        if not world.story.wanted:
            return _let_be

        def watch(entry: TraceEntry) -> None:
            if entry.kind not in ("sip.sent", "sip.received"):
                words = " ".join(f"{key}={value}" for key, value in entry.fields.items() if key in TOLD_FIELDS)
                world.tell(name, f"{session_id[:4]} {entry.kind} {words}")

        return watch

    async def _start_deliverer(self, idle_look_seconds: float) -> None:
        around = self.surroundings
        self.store = self._open_store()
        wire = Wire(around.world, self.loop, around.receivers, self.moment)
        self.deliverer = Deliverer(
            around.wrongs.outbox(self.store),
            wire.post,
            around.world.clock,
            jitter=self._chance.random,
            idle_look_seconds=idle_look_seconds,
        )
        await self.deliverer.start()

    async def _try_to_start(self, idle_look_seconds: float) -> None:
        """As `callwright serve` does, which ends with a word of explanation when a room does not start."""
        try:
            await self._start(idle_look_seconds)
        except CallwrightError as error:
            self.surroundings.world.after(0, self.kill, f"it does not start: {error}")

    async def _start(self, idle_look_seconds: float) -> None:
        around, settings, clock = self.surroundings, simulated_settings(), self.surroundings.world.clock
        self.store = store = self._open_store()
        self.membership = membership = Membership(store, clock, self._new_uuid, name=self.name)
        await membership.enter()
        await store.ensure_sub_account(SUB_ACCOUNT)
        wire = Wire(around.world, self.loop, around.receivers, self.moment)
        self.deliverer = deliverer = Deliverer(
            around.wrongs.outbox(store),
            wire.post,
            clock,
            jitter=self._chance.random,
            idle_look_seconds=idle_look_seconds,
        )
        board: Switchboard
        ground = Ground(
            bind=self._bind,
            media=self._media_plane,
            ringback=lambda _codecs: SilentTone(),
            names=NoNames(),
            token=self._token,
            chance=self._chance,
        )
        self.telephony = telephony = Telephony(
            TelephonySettings(
                sip_host=self.address[0],
                sip_port=self.address[1],
                rtp_ports=RTP_PORTS,
                trunks=(Trunk("trunk", TRUNK[0], TRUNK[1]),),
            ),
            clock,
            lambda leg_id, event: board.post(leg_id, event),
            received=lambda call: board.received(call),
            keep=store.keep_dialog,
            may_dial=membership.holds,
            ground=ground,
        )
        summary_body = wiring.summary_body(settings, store)

        def encode_summary(summary: SessionSummary) -> bytes:
            return msgspec.json.encode(summary_body(summary))

        policies, rules = wiring.policies(settings, store), wiring.rules(settings)
        self.board = board = Switchboard(
            around.wrongs.lines(telephony),
            VirtualPrompts(self._chance, around.speech_fails),
            around.wrongs.records(store),
            customers=Customers(store, wire.post, policies, clock, self._new_uuid, deliverer.wake),
            recordings=NoShelf(),
            rules_for=lambda account: replace(rules(account), longest_bridge_seconds=BRIDGE_SECONDS),
            encode_summary=encode_summary,
            clock=clock,
            new_id=self._new_uuid,
            on_owed=deliverer.wake,
            watcher_for=self._watcher_for,
        )
        await telephony.start()
        await deliverer.start()
        taken_up = await board.recover()
        if taken_up:
            around.world.tell(self.name, f"took up {taken_up} sessions")
        membership.serve(board)
        self._desk = Desk(board, around.wrongs.answers(store), policies, clock, self._new_uuid, lambda: board.draining)
        self.ready = True
        around.world.tell(self.name, "is ready")

    async def _stop(self, drain_seconds: float) -> None:
        if not self.ready:
            self.surroundings.world.after(0, self.kill, "asked to stop while it started")
            return
        self.board.draining = True
        await self.membership.drain()
        await self.board.drain(drain_seconds)
        await self.deliverer.settle(5.0)
        await self.deliverer.stop()
        await self.telephony.stop()
        await self.membership.stop()
        await self.store.close()
        self.surroundings.world.tell(self.name, "has stopped")
        self.stopped = True
        self.surroundings.world.after(0, self._end)

    # --- requests ----------------------------------------------------------------------------------------------------

    def ask(self, method: str, path: dict[str, str], headers: dict[str, str], body: bytes, told: EndpointCall) -> None:
        """One HTTP request arrived; `told` gets status and body of the answer unless the process ends before."""
        route = {"POST": ("send_callflow", callflows.send_callflow, callflow_form)}.get(
            method, ("hang_up_session", sessions.hang_up_session, problem_form)
        )
        answered = Metrics().counter("answers", "answers", ("route", "status"))
        edge = Edge(*route, cast("Platform", self._desk), answered)
        all_headers = {"authorization": f"Bearer {KEY}", **headers}
        scope = {
            "type": "http",
            "method": method,
            "path": f"/{method}",
            "path_params": {"sub_account_id": SUB_ACCOUNT, **path},
            "query_string": b"",
            "headers": [(name.lower().encode(), value.encode()) for name, value in all_headers.items()],
        }

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        parts: list[bytes] = []
        status = 0

        async def send(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            else:
                parts.append(message.get("body", b""))
                if not message.get("more_body"):
                    told(status, b"".join(parts))

        self._requests += 1
        channel = f"request {self._requests}"
        self.loop.arrive(self.surroundings.world.now, channel, lambda: self._spawn(edge(scope, receive, send)))


TOLD_FIELDS = frozenset(("status", "reason", "leg_id", "destination", "error", "digit", "by", "callflow", "completed"))


def _let_be(_entry: TraceEntry) -> None:
    """Nobody reads the story."""


def payload_of(body: bytes) -> dict[str, Any]:
    """A JSON answer, empty when it is none."""
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
