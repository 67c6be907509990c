"""How soon a sentence is heard that nobody spoke before: posted, dialled, answered at once, synthesised meanwhile."""

import time

from bench.rig.result import Figure, Result, percentile
from bench.rig.rig import Rig, accepted, number, say

FIRST_NUMBER = 4_000_000
TARGET_MS = 150.0
SENTENCE = (
    "Good morning, this is a message about your order number {index}. It left our warehouse today, and it will be with "
    "you tomorrow between nine and twelve o'clock. Please have your identity card at hand when the driver calls you."
)
"""Some ten seconds of speech."""


async def measure(rig: Rig) -> Result:
    """POST → first RTP packet and first sound of a message of ten seconds, one call at a time."""
    sink = await rig.sink()
    count = rig.sized(2, 8, 60)
    times: list[dict[str, float]] = []
    async with rig.connected() as connection:
        await sink.ask("mode timing")
        for index in range(count + 1):  # the first starts what speaks
            destination = number(FIRST_NUMBER + index)
            post = rig.callflow(destination, say(SENTENCE.format(index=index)))
            posted = time.monotonic()
            await accepted(connection, post)
            times.append({**await sink.ask(f"listen {destination}"), "posted": posted})
    figures = []
    for name, key in (("first RTP", "rtp"), ("first sound", "sound")):
        seconds = [heard[key] - heard["posted"] for heard in times[1:]]
        for share, word in ((0.50, "p50"), (0.99, "p99")):
            target = TARGET_MS if key == "rtp" else None
            note = "an uncached sentence of 10 s, answered at once"
            figures.append(Figure(f"POST → {name}, {word}", percentile(seconds, share) * 1000, "ms", target, note=note))
    return Result("uncached", tuple(figures), {"calls": count})
