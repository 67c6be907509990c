"""One timer for all handsets: every 20 ms each of them may send a frame, on an absolute schedule.

A late beat is late; nothing is sent twice to catch up. Each beat's number says which 20 ms it is, so that timestamps
stay on schedule.
"""

import asyncio
from collections.abc import Callable

BEAT_SECONDS = 0.02

Listener = Callable[[int], None]
"""Is handed the number of the beat."""


class Pace:
    """Beats on the running loop while somebody listens."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._listeners: dict[object, Listener] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._origin = self._loop.time()

    @property
    def beat(self) -> int:
        """The number of the beat that was last due."""
        return int((self._loop.time() - self._origin) / BEAT_SECONDS)

    def join(self, who: object, listener: Listener) -> None:
        """Call `listener` at every beat from now on; a second one replaces it."""
        self._listeners[who] = listener
        if self._timer is None:
            self._arm(self.beat + 1)

    def leave(self, who: object) -> None:
        """No more beats; harmless when there were none."""
        self._listeners.pop(who, None)
        if not self._listeners and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self, beat: int) -> None:
        self._timer = self._loop.call_at(self._origin + beat * BEAT_SECONDS, self._beat, beat)

    def _beat(self, beat: int) -> None:
        self._arm(max(beat, self.beat) + 1)  # the loop may wake a clock tick too early
        for listener in tuple(self._listeners.values()):
            listener(beat)
