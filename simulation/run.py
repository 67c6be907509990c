"""One simulation from its seed to its verdict."""

import functools
import logging
import random
import re
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from simulation.disk import Disk, Weather, rows
from simulation.judge import Answered, Evidence, verdicts
from simulation.loop import ProcessLoop
from simulation.media import Airwaves
from simulation.network import Address, Network
from simulation.phones import Phones
from simulation.plan import Caller, Kill, Plan, Post, draw
from simulation.process import RIGHT, Process, Surroundings, Wrongs, payload_of
from simulation.receivers import Receivers, Taken
from simulation.story import Story
from simulation.world import BEGINNING, Circles, World

NODE_HOST = "192.0.2.10{}"
STOP_LOOK_SECONDS = 0.05
EXPECTED = "other nodes gave this one up"
"""An error in the log that is none of callwright's: the process stood still for too long, or the database was away."""
SETTLING_SECONDS = 400.0
"""After the last thing that was done to callwright, until every call must be over."""
MOST_TRIES = 4
TRY_AGAIN_SECONDS = 1.5
"""Of a client with an Idempotency-Key: it asks again after this, twice this, and so on."""
START_SECONDS = 1.0
"""After the start of a process, until it is looked after."""
ARRIVAL_SECONDS = 11.0
"""After the last request, before its session must be known."""
LAST_LOOK_SECONDS = 31.0
"""After the last session, for phones that are still up."""
TAIL_SECONDS = 12 * 86_400.0
"""Until every webhook must be delivered or given up."""
LONG_LOOK_SECONDS = 86_400.0
CALL_ID = re.compile(rb"\r\n(?:Call-ID|i): *([^\r\n]+)", re.IGNORECASE)
FIRST_TO = re.compile(rb"\r\n(?:To|t): *([^\r\n]+)", re.IGNORECASE)


Bend = Callable[[Plan, random.Random], None]
"""Changes a plan, with chance of its own."""


def as_drawn(_plan: Plan, _chance: random.Random) -> None:
    """No change."""


@dataclass(slots=True)
class Outcome:
    """How one simulation went."""

    seed: int
    violations: list[str]
    story: Story
    steps: int = 0
    sessions: int = 0
    kills: int = 0
    answered: int = 0
    "phones that were picked up"
    delivered: int = 0
    "webhooks that receivers took"
    virtual_seconds: float = 0.0


@dataclass(slots=True)
class Slot:
    """A place for processes, one at a time: a machine with an address and a data folder."""

    number: int
    address: Address
    process: Process | None = None
    changing: bool = False
    "its process ends, and another is to come"
    incarnations: int = 0

    @property
    def ready(self) -> Process | None:
        """The process that takes requests now."""
        return self.process if self.process is not None and self.process.ready else None


class Simulation:
    """The parties of one simulation, and what is done to them."""

    def __init__(
        self, seed: int, disk: Disk, wrongs: Wrongs = RIGHT, *, story: bool = False, bend: Bend = as_drawn
    ) -> None:
        self.world = world = World(str(seed), Story(story))
        self.plan = plan = draw(world.lots("plan"))
        bend(plan, world.lots("bend"))
        self.violations: list[str] = []
        self.kills = 0
        disk.fresh()
        self._look = disk.connection
        for kind in plan.unwanted:
            self._look.execute("DELETE FROM webhooks WHERE kind = ?", (kind,))
        self._slots = [Slot(number, (NODE_HOST.format(number), 5060)) for number in range(1, plan.nodes + 1)]
        self._addresses = {slot.address: slot for slot in self._slots}
        self._network = Network(world, plan.quality)
        self._network.sent = self._sent
        self._network.arrived = self._arrived
        airwaves = Airwaves(world)
        self._phones = Phones(world, self._network, airwaves)
        self._phones.manners = plan.manners
        self._answers: list[Answered] = []
        tempers = {kind: temper.moved(BEGINNING) for kind, temper in plan.tempers.items()}
        self._receivers = Receivers(world, tempers, self._reply)
        self._receivers.on_taken = self._taken
        away = [(BEGINNING + begins, BEGINNING + ends) for begins, ends in plan.away]
        self._surroundings = Surroundings(
            world,
            self._network,
            airwaves,
            disk,
            Weather(away, plan.loses_answers),
            self._receivers,
            self.fault,
            self._moment,
            plan.nodes > 1 or plan.loses_answers,
            plan.speech_fails,
            wrongs,
        )
        world.before_step = self._before_step
        self._chance = world.lots("clients")
        self._moments: Counter[str] = Counter()
        self._armed: dict[ProcessLoop, tuple[int, Kill]] = {}
        self._done_kills: set[int] = set()
        self._back_at = 0.0
        self._invited: set[bytes] = set()
        self._commits = 0
        self._settled_at_commit = -1
        self._ended_at = self._quiet_from = BEGINNING

    # --- what happens ------------------------------------------------------------------------------------------------

    def run(self) -> Outcome:
        """All of it."""
        world = self.world
        with self._listening():
            try:
                self._begin()
                self._drama()
                self._tail()
            except Circles as error:
                self.violations.append(str(error))
            except Exception:  # noqa: BLE001 - a simulation that breaks is a finding too
                self.violations.append(f"the simulation broke:\n{traceback.format_exc()}")
        self._judge()
        sessions = rows(self._look, "SELECT count(*) AS n FROM sessions")[0]["n"]
        return Outcome(
            int(world.seed),
            self.violations,
            world.story,
            world.steps,
            sessions,
            self.kills,
            sum(phone.answered_at is not None for phone in self._phones.calls),
            sum(taken.accepted for taken in self._receivers.taken),
            world.now - BEGINNING,
        )

    def _begin(self) -> None:
        world, plan = self.world, self.plan
        for slot in self._slots:
            self._start(slot)
        for post in plan.posts:
            world.at(BEGINNING + post.at, self._post, post)
        for caller in plan.callers:
            world.at(BEGINNING + caller.at, self._call, caller)
        for at, seconds, node in plan.pauses:
            world.at(BEGINNING + at, self._pause, self._slots[node], seconds)
        for at, drain_seconds, down_seconds, node in plan.stops:
            world.at(BEGINNING + at, self._stop, self._slots[node], drain_seconds, down_seconds)

    def _drama(self) -> None:
        world = self.world
        end = BEGINNING + self.plan.ends_at
        self._quiet_from = end + ARRIVAL_SECONDS
        if not world.run(self._quiet_from + SETTLING_SECONDS, self._calls_are_over):
            self.violations.append(f"not every call was over {SETTLING_SECONDS:.0f} s after the last thing happened")
        self.plan.kills = []
        self._armed.clear()
        world.run(world.now + LAST_LOOK_SECONDS, lambda: not any(phone.up for phone in self._phones.calls))
        self._ended_at = world.now
        for slot in self._slots:
            self._leave(slot)

    def _leave(self, slot: Slot) -> None:
        process = slot.ready
        if process is not None and not self.violations:
            if process.telephony.legs:
                self.violations.append(f"telephony holds {process.telephony.legs} legs of nobody")
            if process.board.live_sessions:
                self.violations.append(f"the switchboard holds {process.board.live_sessions} sessions of nobody")
        if slot.process is not None:
            slot.process.kill("the calls are over")
            slot.process = None

    def _tail(self) -> None:
        """Days later: what is owed to customers."""
        if self._nothing_is_due():
            return
        world = self.world
        process = self._incarnate(self._slots[0])
        process.deliver_only(LONG_LOOK_SECONDS)
        world.run(world.now + TAIL_SECONDS, self._nothing_is_due)
        process.kill("nothing is left to do")

    def _calls_are_over(self) -> bool:
        return (
            self.world.now > self._quiet_from
            and all(self._is_idle(slot) for slot in self._slots)
            and not any(phone.calls_us for phone in self._phones.calls)
            and not rows(self._look, "SELECT 1 FROM sessions WHERE state <> 'FINISHED' LIMIT 1")
        )

    def _is_idle(self, slot: Slot) -> bool:
        process = slot.ready
        return (
            process is not None and not slot.changing and not process.board.live_sessions and not process.telephony.legs
        )

    def _nothing_is_due(self) -> bool:
        if self._settled_at_commit == self._commits:
            return False
        self._settled_at_commit = self._commits
        return not rows(self._look, "SELECT 1 FROM deliveries WHERE state IN ('DUE', 'HELD') LIMIT 1")

    # --- processes ---------------------------------------------------------------------------------------------------

    def _incarnate(self, slot: Slot) -> Process:
        slot.incarnations += 1
        name = f"node{slot.number}.{slot.incarnations}"
        return Process(name, f"data{slot.number}", slot.address, self._surroundings)

    def _start(self, slot: Slot) -> None:
        if slot.incarnations:
            self._back_at = self.world.now
        slot.changing = False
        slot.process = self._incarnate(slot)
        slot.process.start()
        self.world.after(START_SECONDS, self._start_again, slot, slot.process)

    def _start_again(self, slot: Slot, process: Process) -> None:
        """Whoever keeps the service running notices that it did not start."""
        if process is not slot.process or slot.changing or process.ready:
            return
        if process.alive:
            self.world.after(START_SECONDS, self._start_again, slot, process)
        else:
            self._start(slot)

    def _stop(self, slot: Slot, drain_seconds: float, down_seconds: float) -> None:
        process = slot.process
        if process is not None and process.alive and not slot.changing:
            slot.changing = True
            process.stop(drain_seconds)
            self.world.after(STOP_LOOK_SECONDS, self._start_when_stopped, slot, process, down_seconds)

    def _start_when_stopped(self, slot: Slot, process: Process, down_seconds: float) -> None:
        if process is not slot.process:
            return
        if process.alive:
            self.world.after(STOP_LOOK_SECONDS, self._start_when_stopped, slot, process, down_seconds)
        else:
            self.world.after(down_seconds, self._start, slot)

    def _pause(self, slot: Slot, seconds: float) -> None:
        if slot.process is not None and slot.process.alive:
            self.world.tell(slot.process.name, f"stands still for {seconds:.1f} s")
            slot.process.loop.paused_until = self.world.now + seconds

    def _moment(self, process: Process, kind: str) -> None:
        self._moments[kind] += 1
        self._commits += kind == "commit"
        for number, kill in enumerate(self.plan.kills):
            if kill.moment == kind and kill.count == self._moments[kind] and number not in self._done_kills:
                self._done_kills.add(number)
                self._armed[process.loop] = (process.loop.steps + kill.steps, kill)

    def _before_step(self, loop: ProcessLoop) -> None:
        armed = self._armed.get(loop)
        if armed is None or loop.steps < armed[0]:
            return
        del self._armed[loop]
        slot = next((slot for slot in self._slots if slot.process is not None and slot.process.loop is loop), None)
        if slot is None or slot.process is None or not slot.process.alive:
            return
        self.kills += 1
        kill = armed[1]
        slot.process.kill(f"{kill.steps} steps after {kill.moment} {kill.count}")
        if not slot.changing:  # else it was about to end anyhow, and is replaced
            slot.changing = True
            self.world.after(kill.down_seconds, self._start, slot)

    def fault(self, words: str) -> None:
        """A mistake inside callwright."""
        self.world.tell("fault", words)
        self.violations.append(f"a mistake inside: {words}")
        self.world.enough = True

    # --- clients, callers, receivers ---------------------------------------------------------------------------------

    def _anybody(self) -> Process | None:
        """A node that takes requests, as a balancer finds it."""
        ready = [process for slot in self._slots if (process := slot.ready) is not None]
        return self._chance.choice(ready) if ready else None

    def _post(self, post: Post, tries: int = 1) -> None:
        """A request; with an Idempotency-Key it is repeated while the client does not know what became of it."""
        process = self._anybody()
        place = len(self._answers)
        if process is None:
            self.world.tell("client", "finds nobody")
            self._answers.append(Answered(self.world.now, post.numbers, 503, ""))
        else:
            self.world.tell("client", f"asks for {' and '.join(post.numbers)}" + ("" if post.good else ", wrongly"))
            self._answers.append(Answered(self.world.now, post.numbers, 0, ""))
            self._moment(process, "request")
            headers = {"Idempotency-Key": post.key} if post.key else {}
            process.ask("POST", {}, headers, post.body, functools.partial(self._answered, post, place))
        if post.key and tries < MOST_TRIES:
            self.world.after(TRY_AGAIN_SECONDS * tries, self._repeat, post, place, tries)

    def _repeat(self, post: Post, place: int, tries: int) -> None:
        if self._answers[place].status in (0, 409, 503):
            self._post(post, tries + 1)

    def _answered(self, post: Post, place: int, status: int, body: bytes) -> None:
        session_id = str(payload_of(body).get("sessionId") or "") if status == 200 else ""
        self.world.tell("client", f"is answered {status}")
        self._answers[place] = Answered(self.world.now, post.numbers, status, session_id)
        if session_id and not post.good:
            self.violations.append(f"a wrong request was accepted: {post.body!r}")
        if session_id and post.hang_up_after is not None:
            self.world.after(post.hang_up_after, self._hang_up, session_id)

    def _hang_up(self, session_id: str) -> None:
        process = self._anybody()
        if process is not None:
            self.world.tell("client", "asks for the end")
            process.ask("DELETE", {"session_id": session_id}, {}, b"", lambda *_: None)

    def _call(self, caller: Caller) -> None:
        slot = self._slots[caller.node]
        self._phones.call(caller.number, caller.destination, slot.address, caller.manner)

    def _reply(self, _payload: object) -> tuple[int, bytes]:
        return self.plan.replies.pop(0) if self.plan.replies else (200, b"{}")

    def _taken(self, taken: Taken) -> None:
        if taken.kind != "VSS":
            return
        found = rows(self._look, "SELECT state FROM sessions WHERE session_id = ?", taken.session_id)
        if not found or found[0]["state"] != "FINISHED":
            self.violations.append(f"session {taken.session_id} was summed up before its record was durable")

    # --- the wire ----------------------------------------------------------------------------------------------------

    def _sent(self, data: bytes, source: Address, _destination: Address) -> None:
        slot = self._addresses.get(source)
        if slot is not None:
            self._passed(slot, "▶", "sent", data)
            if data.startswith(b"INVITE "):
                self._invite_left(data)

    def _arrived(self, data: bytes, _source: Address, destination: Address) -> None:
        slot = self._addresses.get(destination)
        if slot is not None:
            self._passed(slot, "◀", "got", data)

    def _passed(self, slot: Slot, arrow: str, how: str, data: bytes) -> None:
        process = slot.process
        if process is not None:
            word = _word(data)
            self.world.tell(process.name, f"{arrow} {word}")
            process.moment(f"{how} {word}")

    def _invite_left(self, data: bytes) -> None:
        call_id, to = CALL_ID.search(data), FIRST_TO.search(data)
        if call_id is None or to is None or b";tag=" in to[1] or call_id[1] in self._invited:
            return
        self._invited.add(call_id[1])
        if not rows(self._look, "SELECT 1 FROM dial_intents WHERE sip_call_id = ?", call_id[1].decode()):
            self.violations.append("an INVITE left before the intent to send it was durable")

    # --- the end -----------------------------------------------------------------------------------------------------

    def _judge(self) -> None:
        if self.violations:
            return
        evidence = Evidence(
            self._look, self._phones.calls, self._receivers.taken, self._answers, self._back_at, self._ended_at
        )
        self.violations += verdicts(evidence)

    @contextmanager
    def _listening(self) -> Iterator[None]:
        """Errors in the log are findings: nothing here is anybody else's fault."""
        listener = _LogListener(self)
        log = logging.getLogger("callwright")
        before = log.level, log.propagate
        log.addHandler(listener)
        log.setLevel(logging.WARNING)
        log.propagate = False
        try:
            yield
        finally:
            log.removeHandler(listener)
            log.level, log.propagate = before
            log.setLevel(before[0])


class _LogListener(logging.Handler):
    def __init__(self, simulation: Simulation) -> None:
        super().__init__()
        self._simulation = simulation

    def emit(self, record: logging.LogRecord) -> None:
        words = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            words += "\n" + "".join(traceback.format_exception(record.exc_info[1]))
        if record.levelno >= logging.ERROR and not words.startswith(EXPECTED):
            self._simulation.fault(words)
        else:
            self._simulation.world.tell("log", words)


def _word(data: bytes) -> str:
    """What a message is, in a word: its method, or its status."""
    words = data.split(b" ", 2)
    return words[1].decode() if words[0] == b"SIP/2.0" else words[0].decode()


def simulate(seed: int, disk: Disk, wrongs: Wrongs = RIGHT, *, story: bool = False, bend: Bend = as_drawn) -> Outcome:
    """Run one seed; `bend` changes its plan, for what chance hits too seldom."""
    return Simulation(seed, disk, wrongs, story=story, bend=bend).run()
