"""RFC 4475's 49 messages and ours on real sockets, UDP and TCP: the right kind of answer, and the next call works."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.sip.cases import CASES

from callwright.callflow.events import Answered, HungUp
from callwright.simulator.behaviour import Behaviour
from callwright.simulator.carrier import Carrier
from callwright.simulator.loopback import LoopbackLine, unused_ports
from callwright.telemetry.clock import platform_clock
from callwright.telephony.line import TelephonySettings
from callwright.telephony.trunk import Trunk

pytestmark = pytest.mark.asyncio(loop_scope="module")

CORPUS = Path(__file__).parent.parent / "sip" / "rfc4475"
PROBE = (
    "OPTIONS sip:us@example.com SIP/2.0\r\n"
    "Via: SIP/2.0/{transport} 127.0.0.1:{port};rport;branch=z9hG4bKprobe{number}\r\n"
    "Max-Forwards: 70\r\nFrom: <sip:p@example.com>;tag=p\r\nTo: <sip:us@example.com>\r\nCall-ID: probe-{number}\r\n"
    "CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
)
# What a stranger's request may be answered with; the corpus' own verdicts are tests/sip/test_torture.py's business. A
# message that belongs to nobody gets no answer at all, but never takes what follows with it.
REFUSALS = {400, 403, 404, 405, 406, 415, 416, 420, 481, 482, 488, 501, 505, 513}
FINE = {200}
MOST_DATAGRAM_BYTES = 65_507


@asynccontextmanager
async def a_line() -> AsyncIterator[LoopbackLine]:
    clock = platform_clock()
    carrier = Carrier("127.0.0.1", 0, clock, usual=Behaviour(None, 0.0))
    await carrier.start()
    settings = TelephonySettings("127.0.0.1", 0, unused_ports(16), (Trunk("loop", *carrier.address),))
    line = LoopbackLine(settings, clock)
    await line.telephony.start()
    try:
        yield line
    finally:
        await line.telephony.stop()
        await carrier.stop()


async def a_good_call(line: LoopbackLine) -> None:
    leg = line.dial("+6591234567")
    await line.until(leg, Answered)
    line.telephony.hang_up(leg)
    await line.until(leg, HungUp)


def statuses(data: bytes) -> list[int]:
    """The statuses of all responses in what came back."""
    lines = data.split(b"\r\n")
    return [int(line[8:11]) for line in lines if line.startswith(b"SIP/2.0 ")]


def message(name: str) -> bytes:
    return (CORPUS / f"{name}.dat").read_bytes()


def messages() -> list[tuple[str, bytes]]:
    """RFC 4475's by name, and ours, as far as they fit a datagram."""
    theirs = [(path.stem, path.read_bytes()) for path in sorted(CORPUS.glob("*.dat"))]
    return theirs + [(name, data) for name, data, _ in CASES if 0 < len(data) <= MOST_DATAGRAM_BYTES]


async def test_every_message_over_udp_and_then_a_good_call() -> None:
    loop = asyncio.get_running_loop()
    async with a_line() as line:
        for number, (name, data) in enumerate(messages()):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
                udp.bind(("127.0.0.1", 0))
                udp.setblocking(False)  # noqa: FBT003  positional only
                await loop.sock_connect(udp, line.telephony.address)
                await loop.sock_sendall(udp, data)
                probe = PROBE.format(transport="UDP", port=udp.getsockname()[1], number=number)
                await loop.sock_sendall(udp, probe.encode())
                answers = b""
                async with asyncio.timeout(60):
                    while b"z9hG4bKprobe" not in answers:
                        answers += await loop.sock_recv(udp, 65_535)
                assert statuses(answers)[-1] == 200, name
                assert set(statuses(answers)) <= FINE | REFUSALS | {100}, name
        await a_good_call(line)


async def test_every_message_over_tcp_and_then_a_good_call() -> None:
    answered = 0
    async with a_line() as line:
        for name, data in messages():
            reader, writer = await asyncio.open_connection(*line.telephony.address)
            writer.write(data)
            writer.write_eof()
            async with asyncio.timeout(60):
                answers = await reader.read()
            assert set(statuses(answers)) <= FINE | REFUSALS | {100}, name
            answered += bool(statuses(answers))
            writer.close()
        assert answered > 25
        await a_good_call(line)


async def test_a_broken_stream_is_refused_once_and_closed() -> None:
    async with a_line() as line:
        reader, writer = await asyncio.open_connection(*line.telephony.address)
        writer.write(message("ncl") + PROBE.format(transport="TCP", port=9, number=1).encode())
        async with asyncio.timeout(60):
            answers = await reader.read()  # ends because we close
        assert statuses(answers) == [400]
        writer.close()


async def test_good_messages_in_one_stream_are_all_answered() -> None:
    async with a_line() as line:
        reader, writer = await asyncio.open_connection(*line.telephony.address)
        stream = "".join(PROBE.format(transport="TCP", port=9, number=number) for number in range(50)).encode()
        for at in range(0, len(stream), 333):
            writer.write(stream[at : at + 333])
            await writer.drain()
        answers = b""
        async with asyncio.timeout(60):
            while answers.count(b"SIP/2.0 200") < 50:
                answers += await reader.read(65_535)
        writer.close()
