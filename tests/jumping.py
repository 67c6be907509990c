"""An event loop whose clock stands still until a test moves it on: however slow the machine, no timer comes early."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


class JumpingLoop(asyncio.SelectorEventLoop):
    """Sockets and threads are real, time is not."""

    def __init__(self) -> None:
        self._now = 1_000.0
        super().__init__()

    def time(self) -> float:
        """Seconds."""
        return self._now

    async def skip(self, seconds: float) -> None:
        """Let what is under way come to a wait, then so much time go by, and whatever became due happen."""
        await self._turn()
        self._now += seconds
        await self._turn()

    async def _turn(self) -> None:
        for _ in range(20):
            await asyncio.sleep(0)


def tell(story: Callable[[JumpingLoop], Coroutine[Any, Any, None]]) -> None:
    """Run a story on such a loop."""
    loop = JumpingLoop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(story(loop))
