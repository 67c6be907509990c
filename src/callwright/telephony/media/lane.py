"""Which way one call's frames leave: with others from a slot (the fast lane), or by themselves (the slow lane).

Either way the call keeps the schedule of its slot, so that nothing is heard of a change. A call's first frame need not
wait for its slot: a message that is there when the call is answered begins at once, as the frame that its slot sent
last, late by less than 20 ms; the next one leaves with the slot.
"""

from callwright.telephony.media.outbound import Outbound
from callwright.telephony.media.pacer import FRAME_SECONDS, Pacer
from callwright.telephony.media.slot import Slot


class Lane:
    """One call's place in the schedule, from its first `enter` to `leave`."""

    __slots__ = (
        "_begun",
        "_descriptor",
        "_due_at",
        "_entered_at_run",
        "_name",
        "_outbound",
        "_pacer",
        "_seated",
        "slot",
    )

    def __init__(self, outbound: Outbound, pacer: Pacer) -> None:
        self.slot: Slot | None = None
        "None before the first `enter`"
        self._outbound = outbound
        self._pacer = pacer
        self._descriptor = -1
        self._name = b""
        self._seated = False
        self._begun = False
        self._entered_at_run = 0
        self._due_at = 0.0
        "when the next frame was due at the last pause, if the call sent by itself"

    def enter(self, descriptor: int, name: bytes, *, by_itself: bool, now: float) -> None:
        """Send from now on; again after `pause`.

        In the fast lane through the socket `descriptor` to `name` (empty when it is connected), unless the call is to
        send by itself.
        """
        self._descriptor, self._name = descriptor, name
        slot, outbound = self.slot, self._outbound
        if slot is None:
            slot = self.slot = self._pacer.emptiest()
            slot.calls += 1
            self._entered_at_run = slot.runs
        if self._may_begin:
            self._begun = True
            outbound.frame(now)
        self._seated = not by_itself and outbound.framing.is_fast and not slot.is_full
        if self._seated:
            outbound.take_back()
            through, place = (descriptor if outbound.sending else None), outbound.place
            outbound.sit(
                slot.seat(outbound, place, outbound.ssrc, outbound.kind, outbound.framing.ticks, through, name)
            )
        else:
            self._pacer.pace(outbound, max(slot.last_due + FRAME_SECONDS, self._due_at))

    def begin(self, now: float) -> None:
        """There is sound: a call that has sent nothing yet does not wait for its slot."""
        if self._may_begin:
            seated = self._seated
            self.pause()
            self.enter(self._descriptor, self._name, by_itself=not seated, now=now)

    @property
    def _may_begin(self) -> bool:
        slot = self.slot
        is_new = slot is not None and not self._begun and slot.runs == self._entered_at_run
        return is_new and self._outbound.has_sound

    def pause(self) -> None:
        """Stop sending, to `enter` again at once: another agreement, or another lane."""
        if self._seated:
            self._outbound.stand_up()
        elif self.slot is not None:
            self._due_at = self._outbound.due_at
            self._pacer.release(self._outbound)

    def leave(self) -> None:
        """Stop sending for good."""
        self.pause()
        if self.slot is not None:
            self.slot.calls -= 1
            self.slot = None

    def rtp_time(self, now: float) -> int:
        """The call's RTP timestamp of this very moment, for its sender reports and recordings; 0 before it sends."""
        slot, outbound = self.slot, self._outbound
        if slot is None:
            return 0
        framing = outbound.framing
        next_at = slot.last_due + FRAME_SECONDS if self._seated else outbound.due_at
        # A slot that nobody used did not run: its new call's first frame is still to come.
        ahead = min(max(0.0, next_at - now), framing.frame_seconds) / framing.frame_seconds
        return (outbound.place[1] - round(ahead * framing.ticks)) & 0xFFFF_FFFF
