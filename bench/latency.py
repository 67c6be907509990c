"""How soon things happen on an idle machine, one call at a time."""

import asyncio
import random
import time

from bench.rig.http import Connection, Receiver
from bench.rig.result import Figure, Result, percentile
from bench.rig.rig import MESSAGE, Rig, SinkProcess, accepted, number, play, say
from callwright.audio import tones, wav

FIRST_NUMBER = 1_000_000
INVITE_TARGETS_MS = (5.0, 20.0)
RTP_TARGETS_MS = (2.0, 10.0)
FRAME_SECONDS = 0.020


async def measure(rig: Rig) -> Result:
    """POST → INVITE at the callee; the callee's 200 → first RTP packet, and first packet that is not silence.

    The first uses a spoken text that is cached; the second a tone from a file, whose first frame can be heard.
    """
    sink = await rig.sink()
    count = rig.sized(3, 40, 250)
    receiver = Receiver(wav.serialize(tones.sine(440.0, 2.0)))
    await receiver.start()
    try:
        async with rig.connected() as connection:
            await sink.ask("mode timing")
            spoken, tone = say(MESSAGE), play(f"http://127.0.0.1:{receiver.port}/tone.wav")
            invites = [await _call(rig, sink, connection, index, spoken) for index in range(count)]
            tones_heard = [await _call(rig, sink, connection, count + index, tone) for index in range(count)]
    finally:
        await receiver.stop()
    to_invite = [times["invite"] - times["posted"] for times in invites[1:]]  # the first makes the cache
    first_rtp = [times["rtp"] - times["answered"] for times in tones_heard[1:]]
    first_sound = [times["sound"] - times["answered"] for times in tones_heard[1:]]
    figures = (
        *_pair("POST → INVITE", to_invite, INVITE_TARGETS_MS),
        *_pair("200 OK → first RTP", first_rtp, RTP_TARGETS_MS),
        *_pair("200 OK → first sound", first_sound, None, "not silence"),
    )
    return Result("latency", figures, {"calls": 2 * count})


async def _call(
    rig: Rig, sink: SinkProcess, connection: Connection, index: int, message: dict[str, object]
) -> dict[str, float]:
    """Post a call, listen until it sounds, hang up; the callee's times and `posted`."""
    destination = number(FIRST_NUMBER + index)
    post = rig.callflow(destination, message)
    posted = time.monotonic()
    await accepted(connection, post)
    times: dict[str, float] = await sink.ask(f"listen {destination}")
    # The callee hung up on a packet, in step with the frames: without this all answers would fall on one phase.
    await asyncio.sleep(random.uniform(0.0, FRAME_SECONDS))  # noqa: S311 - no secret
    return {**times, "posted": posted}


def _pair(name: str, seconds: list[float], targets_ms: tuple[float, float] | None, note: str = "") -> list[Figure]:
    median, worst = targets_ms or (None, None)
    return [
        Figure(f"{name}, p50", percentile(seconds, 0.50) * 1000, "ms", median, note=note),
        Figure(f"{name}, p99", percentile(seconds, 0.99) * 1000, "ms", worst, note=note),
    ]
