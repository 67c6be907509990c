"""A whole line on loopback: telephony with its media process over one trunk, and everything it posted, by leg.

For tests and measurements that want real sockets and no outside: dial, wait for events, read the traces.
"""

import asyncio
import itertools
import os
import random
import socket
from collections import defaultdict
from pathlib import Path
from typing import TypeVar

from callwright.audio import g711
from callwright.audio.prompt import Prompt
from callwright.callflow.events import Event, HungUp, NotAnswered
from callwright.telemetry.clock import Clock
from callwright.telemetry.trace import Trace, TraceEntry
from callwright.telephony.ground import Ground
from callwright.telephony.incoming import Received
from callwright.telephony.line import RecordingDone, Telephony, TelephonySettings

CALLER = "+6531350000"
SomeEvent = TypeVar("SomeEvent", bound=Event)


class EndedWithout(AssertionError):
    """A leg ended, and what was waited for never came."""


def own_host() -> str:
    """An address of this machine that no other process uses: its ports are all free, however many test suites run.

    Linux answers to the whole of 127.0.0.0/8; a process id has at most 22 bits.
    """
    pid = os.getpid()
    return f"127.{64 + (pid >> 16)}.{pid >> 8 & 255}.{pid & 255}"


def unused_port(host: str = "127.0.0.1") -> int:
    """A port on which nobody listens now, by UDP or TCP, and that no system hands out by itself."""
    while True:
        port = random.randrange(10_000, 32_768)  # noqa: S311 - nobody is to be surprised
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
            socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp,
        ):
            try:
                udp.bind((host, port))
                tcp.bind((host, port))
            except OSError:
                continue
            return port


def unused_ports(pairs: int, host: str = "127.0.0.1") -> range:
    """That many pairs of neighbouring UDP ports, an even one first, all of them free now; of those that no system
    hands out by itself."""
    while True:
        first = random.randrange(10_000, 32_768 - 2 * pairs) & ~1  # noqa: S311 - nobody is to be surprised
        ports = range(first, first + 2 * pairs)
        held = []
        try:
            for port in ports:
                held.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                held[-1].bind((host, port))
        except OSError:
            continue
        finally:
            for udp in held:
                udp.close()
        return ports


def prompt_of(samples: g711.Samples, key: str, folder: Path) -> Prompt:
    """8 kHz sound as a prompt in every G.711 form, its files in `folder`."""
    paths = {}
    for encoding in g711.ENCODINGS:
        path = folder / f"{key}.{encoding.lower()}"
        path.write_bytes(g711.whole_frames(encoding, g711.encode(encoding, samples)))
        paths[encoding] = str(path)
    return Prompt(key, len(samples) / g711.SAMPLE_RATE, paths)


class LoopbackLine:
    """Telephony, and the record of its legs."""

    def __init__(self, settings: TelephonySettings, clock: Clock, ground: Ground | None = None) -> None:
        self.telephony = Telephony(
            settings, clock, self._post, received=self._received, recorded=self._recorded, ground=ground
        )
        self.calls: asyncio.Queue[Received] = asyncio.Queue()
        "who called, and was neither taken nor refused yet"
        self.recordings: asyncio.Queue[RecordingDone] = asyncio.Queue()
        self.events: dict[str, list[Event]] = defaultdict(list)
        self.traces: dict[str, Trace] = {}
        self._waiting: set[asyncio.Event] = set()
        self._numbers = itertools.count(1)

    def _post(self, leg_id: str, event: Event) -> None:
        self.events[leg_id].append(event)
        for waiting in self._waiting:
            waiting.set()

    def _received(self, received: Received) -> None:
        self.calls.put_nowait(received)

    def _recorded(self, done: RecordingDone) -> None:
        self.recordings.put_nowait(done)

    async def take(self) -> Received:
        """Wait for the next call that comes in, and let it ring."""
        received = await self.calls.get()
        self.traces[received.leg_id] = Trace(f"session-{received.leg_id}")
        self.telephony.take(received.leg_id, self.traces[received.leg_id])
        return received

    def dial(self, number: str, session_id: str | None = None) -> str:
        """Call somebody; returns the leg's id."""
        leg_id = f"leg-{next(self._numbers)}-{number}"
        self.traces[leg_id] = Trace(session_id or f"session-{leg_id.replace('+', '')}")
        self.telephony.dial(leg_id, CALLER, number, self.telephony.route(number, CALLER), self.traces[leg_id])
        return leg_id

    async def until(self, leg_id: str, kind: type[SomeEvent]) -> SomeEvent:
        """The leg's first event of a kind; EndedWithout when it ends before."""
        return (await self.several(leg_id, kind, 1))[0]

    async def several(self, leg_id: str, kind: type[SomeEvent], least: int) -> list[SomeEvent]:
        """The leg's events of a kind, as soon as there are so many; EndedWithout when it ends before."""
        news = asyncio.Event()
        self._waiting.add(news)
        try:
            while True:
                found: list[SomeEvent] = [event for event in self.events[leg_id] if isinstance(event, kind)]
                if len(found) >= least:
                    return found
                for event in self.events[leg_id]:
                    if isinstance(event, HungUp | NotAnswered):
                        raise EndedWithout(f"{leg_id} ended without {kind.__name__}: {event}")
                news.clear()
                await news.wait()
        finally:
            self._waiting.discard(news)

    async def ending(self, leg_id: str) -> HungUp | NotAnswered:
        """The leg's last event."""
        try:
            return await self.until(leg_id, HungUp)
        except EndedWithout:
            return await self.until(leg_id, NotAnswered)

    def entries(self, leg_id: str, kind: str) -> list[TraceEntry]:
        """What the leg's trace says of a kind."""
        return [entry for entry in self.traces[leg_id].entries if entry.kind == kind]

    def report(self, leg_id: str) -> dict[str, int]:
        """The counts in which the leg's sound ended: sent, received, lost, late_frames …"""
        [report] = self.entries(leg_id, "rtp.report")
        return {name: value for name, value in report.fields.items() if isinstance(value, int)}

    def ladder(self, leg_id: str) -> list[str]:
        """The leg's SIP messages: `→ INVITE`, `← 180`; responses carry their method's name behind."""
        steps = []
        for entry in self.traces[leg_id].entries:
            if entry.kind in ("sip.sent", "sip.received"):
                words = str(entry.fields["line"]).split()
                what = f"{words[1]} {str(entry.fields['cseq']).split()[1]}" if words[0] == "SIP/2.0" else words[0]
                steps.append(("→ " if entry.kind == "sip.sent" else "← ") + what)
        return steps
