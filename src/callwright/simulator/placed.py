"""A call that a phone of the carrier placed, as whoever asked for it sees it."""

import asyncio
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ending:
    """How it ended."""

    status: int | None
    "the final SIP status of a call that was not answered; None when it was"
    by_peer: bool
    "False: the caller hung up, or gave up"
    reason: str


class PlacedCall:
    """What became of it so far; the methods wait for what is to come."""

    def __init__(self, call_id: str) -> None:
        self.call_id = call_id
        self.provisional: list[int] = []
        "the statuses that told of progress, in order"
        self.is_answered = False
        self.ending: Ending | None = None
        self._news = asyncio.Event()

    def note(self) -> None:
        """Something of it changed."""
        self._news.set()
        self._news = asyncio.Event()

    async def rings(self) -> bool:
        """Wait until the other phone rings; False when the call ended without."""
        while not self.provisional and self.ending is None:
            await self._news.wait()
        return bool(self.provisional)

    async def answered(self) -> bool:
        """Wait until somebody picks up; False when the call ended without."""
        while not self.is_answered and self.ending is None:
            await self._news.wait()
        return self.is_answered

    async def over(self) -> Ending:
        """Wait for the end."""
        while self.ending is None:
            await self._news.wait()
        return self.ending
