"""Phones that speak and hear any codec, in the clear or through SRTP, and keep time while they do."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from callwright.audio.codecs import CODECS, FRAME_MS
from callwright.audio.coding import Decoder, Resampler, encoded
from callwright.audio.prompt import Prompt
from callwright.rtp import packet, rtcp
from callwright.rtp.packet import RtpPacket
from callwright.rtp.srtp import Opener, Refused, Sealer
from callwright.rtp.telephone_event import press
from callwright.telephony.media.stream import Direction, LocalMedia, RemoteMedia, Srtp

PAYLOAD_TYPES = {"PCMU": 0, "PCMA": 8, "G722": 9, "OPUS": 107}
EVENTS = 101
SAMPLE_RATE = 8_000
PATIENCE_SECONDS = 60.0
LATE_SECONDS = 0.1
"""Jitter that any phone must live with."""


class Voice:
    """A peer at `host`. What it sends leaves one packet each `ptime_ms`, whatever it is asked for."""

    def __init__(self, host: str, codec: str, *, ptime_ms: int = 20, srtp: Srtp | None = None) -> None:
        self.codec, self.ptime_ms = codec, ptime_ms
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.rtp, self.rtcp = _pair(family, host)
        self.host, self.port = host, int(self.rtp.getsockname()[1])
        self.heard: list[RtpPacket] = []
        self.reports: list[tuple[rtcp.RtcpPacket, ...]] = []
        self.unopened = 0
        self.late_seconds = 0.0
        "by how much a packet left late at most, when this machine was busy"
        self.sequence, self.timestamp, self.ssrc = 65_500, 2**32 - 9_000, 77
        self._srtp = srtp
        self._sealer = None if srtp is None else Sealer(srtp.suite, srtp.receiving)
        self._opener = None if srtp is None else Opener(srtp.suite, srtp.sending)
        loop = asyncio.get_running_loop()
        loop.add_reader(self.rtp, self._hear)
        loop.add_reader(self.rtcp, self._read)

    def remote(self, **changes: object) -> RemoteMedia:
        """How the plane is to reach it."""
        remote = RemoteMedia(
            self.host,
            self.port,
            self.codec,
            PAYLOAD_TYPES[self.codec],
            EVENTS,
            Direction.SENDRECV,
            EVENTS,
            ptime_ms=self.ptime_ms,
            srtp=self._srtp,
        )
        return replace(remote, **changes)  # type: ignore[arg-type]  # mypy checks ** against every field

    def _hear(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                self._take(self.rtp.recv(2048))

    def _take(self, data: bytes) -> None:
        if data[1] in range(192, 224):
            self._take_report(data)
            return
        opened = data if self._opener is None else self._opener.rtp(data)
        if isinstance(opened, Refused):
            self.unopened += 1
        else:
            self.heard.append(packet.parse(opened))

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                self._take_report(self.rtcp.recv(2048))

    def _take_report(self, data: bytes) -> None:
        opened = data if self._opener is None else self._opener.rtcp(data)
        if isinstance(opened, Refused):
            self.unopened += 1
        else:
            self.reports.append(rtcp.parse(opened))

    # Speaking

    def sealed(self, sent: RtpPacket) -> bytes:
        """A packet as it leaves."""
        data = packet.serialize(sent)
        return data if self._sealer is None else self._sealer.rtp(data)

    def send(self, local: LocalMedia, sent: RtpPacket) -> None:
        """One packet."""
        self.rtp.sendto(self.sealed(sent), (local.host, local.port))

    def send_report(self, local: LocalMedia, *, port: int | None = None) -> None:
        """A receiver report."""
        data = rtcp.serialize([rtcp.ReceiverReport(self.ssrc), rtcp.SourceDescription(((self.ssrc, ()),))])
        data = data if self._sealer is None else self._sealer.rtcp(data)
        mine = self.rtcp if port is None else self.rtp
        mine.sendto(data, (local.host, local.port + 1 if port is None else port))

    def packets(self, sound: NDArray[np.int16]) -> list[RtpPacket]:
        """Sound at 8 kHz as this phone sends it."""
        shape = CODECS[self.codec]
        size = shape.frame_bytes * shape.packet_ms(self.ptime_ms) // FRAME_MS
        form = encoded(self.codec, sound.tobytes(), SAMPLE_RATE)
        made = []
        for at in range(0, len(form) - size + 1, size):
            payload = form[at : at + size]
            made.append(RtpPacket(PAYLOAD_TYPES[self.codec], self.sequence, self.timestamp, self.ssrc, payload))
            self.sequence = (self.sequence + 1) & 0xFFFF
            self.timestamp = (self.timestamp + shape.ticks(payload)) & 0xFFFF_FFFF
        return made

    async def is_read(self) -> None:
        """What was just sent has been read: the plane reads after sending, four packets of a stream at a time."""
        count = len(self.heard)
        await until(lambda: len(self.heard) >= count + 12)

    async def is_spoken_to(self) -> None:
        """Two more packets have come: whatever the plane was told before is done by now."""
        count = len(self.heard)
        await until(lambda: len(self.heard) >= count + 2)

    async def say(self, local: LocalMedia, sound: NDArray[np.int16], lost: Sequence[int] = ()) -> None:
        """Speak in time; packets of those places never leave."""
        step = CODECS[self.codec].packet_ms(self.ptime_ms) / 1000
        loop = asyncio.get_running_loop()
        began = loop.time()
        for number, one in enumerate(self.packets(sound)):
            await asyncio.sleep(max(0.0, began + number * step - loop.time()))
            late_seconds = loop.time() - began - number * step
            self.late_seconds = max(self.late_seconds, late_seconds if late_seconds > LATE_SECONDS else 0.0)
            if number not in lost:
                self.send(local, one)

    async def press(self, local: LocalMedia, digit: str, clock_rate: int = 8_000) -> None:
        """A key, by telephone-events, without waiting between them."""
        for frame in press(digit, 100, clock_rate=clock_rate):
            timestamp = (self.timestamp + frame.timestamp_ticks) & 0xFFFF_FFFF
            self.send(local, RtpPacket(EVENTS, self.sequence, timestamp, self.ssrc, frame.payload, frame.marker))
            self.sequence = (self.sequence + 1) & 0xFFFF
            await asyncio.sleep(0.002)
        self.timestamp = (self.timestamp + clock_rate // 10) & 0xFFFF_FFFF

    # Hearing

    def sound(self) -> NDArray[np.int16]:
        """All that was heard, at 8 kHz, in the order of its numbers; what is missing is left out."""
        decoder = Decoder(self.codec)
        resampler = Resampler(decoder.codec.sample_rate, SAMPLE_RATE)
        mine = [one for one in self.heard if one.payload_type == PAYLOAD_TYPES[self.codec]]
        return np.concatenate(
            [np.zeros(0, dtype=np.int16), *(resampler.in_step(decoder.decode(one.payload)) for one in mine)]
        )

    def close(self) -> None:
        """Hang up for good."""
        for one in (self.rtp, self.rtcp):
            asyncio.get_running_loop().remove_reader(one)
            one.close()


def _pair(family: socket.AddressFamily, host: str) -> tuple[socket.socket, socket.socket]:
    while True:
        low, high = (socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) for _ in range(2))
        low.bind((host, 0))
        with contextlib.suppress(OSError, OverflowError):
            high.bind((host, low.getsockname()[1] + 1))
            return low, high
        low.close()
        high.close()


def prompt_of(write: Callable[[str, bytes], str], name: str, sound: NDArray[np.int16]) -> Prompt:
    """The sound at 8 kHz in every codec; `write` makes a file of a name and its bytes and returns where it is."""
    forms = {codec: encoded(codec, sound.tobytes(), SAMPLE_RATE) for codec in CODECS}
    frames = min(len(form) // CODECS[codec].frame_bytes for codec, form in forms.items())
    paths = {
        codec: write(f"{name}.{codec}", form[: frames * CODECS[codec].frame_bytes]) for codec, form in forms.items()
    }
    return Prompt(name, frames * FRAME_MS / 1000, paths)


async def until(reached: Callable[[], object]) -> None:
    """Wait for a condition; a test that waits in vain fails here."""
    deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS
    while not reached():
        assert asyncio.get_running_loop().time() < deadline, "waited in vain"
        await asyncio.sleep(0.005)
