"""The schedule and what one call sends, without a process, socket or clock."""

from collections.abc import Callable
from pathlib import Path

import pytest

from callwright.audio import g711, tones
from callwright.rtp import packet
from callwright.rtp.packet import RtpPacket
from callwright.telephony.media.outbound import Outbound, Playback
from callwright.telephony.media.pacer import FRAME_SECONDS, SLOTS, TICK_SECONDS, Pacer, Slot
from callwright.telephony.media.prompts import PromptFiles

FILES = PromptFiles()
Told = list[tuple[str, str]]


class Wire:
    """Remembers what was sent."""

    def __init__(self) -> None:
        self.sent: list[RtpPacket] = []
        self.refuses = False

    def send(self, data: memoryview | bytes) -> None:
        if self.refuses:
            raise BlockingIOError
        self.sent.append(packet.parse(bytes(data)))


def on_air(
    slot: Slot, told: Told | None = None, random: Callable[[int], int] = lambda _: 7
) -> tuple[Outbound, Wire, int]:
    wire = Wire()
    told = [] if told is None else told
    call = Outbound(
        0xABCD,
        wire.send,
        lambda playback_id, _: told.append(("started", playback_id)),
        lambda playback_id, _, reason: told.append((reason or "completed", playback_id)),
    )
    row = slot.add(call, random)
    call.agree("PCMU", 0, sending=True, files=FILES, now=0.0)
    slot.set_sending(row, sending=True)
    return call, wire, row


@pytest.fixture
def ten_frames(tmp_path: Path) -> tuple[dict[str, str], list[bytes]]:
    """A prompt of ten different frames, and the frames."""
    codes = g711.encode("PCMU", tones.sine(333.3, 0.2))
    path = tmp_path / "ten"
    path.write_bytes(codes)
    return {"PCMU": str(path)}, [codes[n : n + 160] for n in range(0, 1600, 160)]


def test_each_slot_runs_once_in_20_ms() -> None:
    pacer = Pacer(100.0)
    wires = [on_air(slot)[1] for slot in pacer.slots]
    for tick in range(3 * SLOTS):
        assert pacer.due_at == pytest.approx(100 + tick * TICK_SECONDS)
        pacer.tick(pacer.due_at + 1e-6)
        assert [len(wire.sent) for wire in wires] == [(tick + SLOTS - n) // SLOTS for n in range(SLOTS)]


def test_calls_are_spread_over_the_slots() -> None:
    pacer = Pacer(0.0)
    for _ in range(3 * SLOTS + 1):
        on_air(pacer.emptiest())
    assert sorted(len(slot) for slot in pacer.slots) == [3, 3, 3, 3, 4]


def test_a_slot_that_grows_keeps_the_packets_of_its_calls_as_they_are() -> None:
    slot = Slot()
    wires = []
    for n in range(100):
        beginnings = {16: 1000 + n, 32: 70_000 + n}
        wires.append(on_air(slot, random=beginnings.__getitem__)[1])
        slot.run(1, 0.0, 0.0)
    for n, wire in enumerate(wires):
        assert [sent.sequence for sent in wire.sent] == list(range(1000 + n, 1100))
        assert [sent.timestamp for sent in wire.sent] == [70_000 + n + 160 * step for step in range(100 - n)]
        assert {sent.ssrc for sent in wire.sent} == {0xABCD}


def test_a_row_is_used_again_with_a_new_beginning() -> None:
    slot = Slot()
    _, wire, row = on_air(slot)
    slot.run(1, 0.0, 0.0)
    slot.remove(row)
    slot.run(1, 0.0, 0.0)
    assert len(wire.sent) == 1
    again, _, row_again = on_air(slot)
    assert (row_again, len(slot)) == (row, 1)
    assert packet.parse(bytes(again.packet)).sequence == 7


def test_numbers_wrap_around() -> None:
    slot = Slot()
    _, wire, _ = on_air(slot, random=lambda bits: (1 << bits) - 1)
    slot.run(1, 0.0, 0.0)
    slot.run(1, 0.0, 0.0)
    assert [(sent.sequence, sent.timestamp) for sent in wire.sent] == [(0xFFFF, 0xFFFFFFFF), (0, 159)]


@pytest.mark.parametrize(("late_frames", "skipped"), [(0, 0), (1, 0), (2, 1), (7, 6), (600, 599)])
def test_late_frames_are_skipped_but_one_and_numbers_stay_on_schedule(late_frames: int, skipped: int) -> None:
    pacer = Pacer(0.0)
    calls = [on_air(slot) for slot in pacer.slots]
    pacer.tick(0.5 * TICK_SECONDS)
    pacer.tick(4.5 * TICK_SECONDS)
    pacer.tick(4.5 * TICK_SECONDS + FRAME_SECONDS * (1 + late_frames))
    for call, wire, _ in calls:
        steps = [0, *range(1 + skipped, 2 + late_frames)]
        assert [sent.sequence - 7 for sent in wire.sent] == steps
        assert [(sent.timestamp - 7) // 160 for sent in wire.sent] == steps
        assert call.gaps == skipped
    assert pacer.due_at == pytest.approx(FRAME_SECONDS * (2 + late_frames))


def test_a_skipped_part_of_a_prompt_is_not_heard_later(ten_frames: tuple[dict[str, str], list[bytes]]) -> None:
    paths, frames = ten_frames
    told: Told = []
    slot = Slot()
    call, wire, _ = on_air(slot, told)
    call.play(Playback("p", paths, 2), FILES, 0.0)
    for count in (1, 5, 1, 12):  # frame 0; 1-3 lost, 4 and 5; 6; 7-16 lost, 17 and 18
        slot.run(count, 0.0, 0.0)
    expected = [0, 4, 5, 6, 17, 18]
    assert [sent.payload for sent in wire.sent] == [frames[n % 10] for n in expected]
    assert told == [("started", "p")]
    slot.run(1, 0.0, 0.0)
    assert told == [("started", "p")]  # the last frame leaves now, and takes 20 ms to be heard
    slot.run(1, 0.0, 0.0)
    assert told == [("started", "p"), ("completed", "p")]
    assert wire.sent[-1].payload == b"\xff" * 160


def test_a_prompt_whose_end_was_skipped_is_completed(ten_frames: tuple[dict[str, str], list[bytes]]) -> None:
    told: Told = []
    slot = Slot()
    call, _, _ = on_air(slot, told)
    call.play(Playback("p", ten_frames[0], 1), FILES, 0.0)
    slot.run(1, 0.0, 0.0)
    slot.run(10_000, 0.0, 0.0)
    assert told == [("started", "p"), ("completed", "p")]


def test_a_packet_that_the_system_refuses_is_counted_and_leaves_a_hole() -> None:
    slot = Slot()
    call, wire, _ = on_air(slot)
    slot.run(1, 0.0, 0.0)
    wire.refuses = True
    slot.run(1, 0.0, 0.0)
    wire.refuses = False
    slot.run(1, 0.0, 0.0)
    assert [sent.sequence for sent in wire.sent] == [7, 9]
    assert (call.packets_sent, call.send_errors) == (2, 1)


def test_nothing_was_missed_while_nobody_was_there() -> None:
    pacer = Pacer(0.0)
    pacer.resume(1000.0)
    call, wire, _ = on_air(pacer.slots[0])
    pacer.tick(1000.0 + FRAME_SECONDS)
    assert (len(wire.sent), call.gaps) == (1, 0)


def test_report_times_run_with_the_stream() -> None:
    slot = Slot()
    _, wire, row = on_air(slot)
    slot.run(1, due=10.0, now=10.001)
    sent_at_10 = wire.sent[0].timestamp
    assert slot.rtp_time(row, 10.0) == sent_at_10
    assert slot.rtp_time(row, 10.01) == sent_at_10 + 80


def test_the_clock_of_a_call_in_a_slot_that_did_not_run_yet_stands_at_its_first_frame() -> None:
    slot = Slot()
    _, _, row = on_air(slot)
    assert slot.rtp_time(row, 1_000_000.0) == 7
    slot.run(1, 1_000_000.01, 1_000_000.01)
    assert slot.rtp_time(row, 1_000_000.02) == 7 + 80


def test_prompts_are_mapped_once_while_they_are_played(ten_frames: tuple[dict[str, str], list[bytes]]) -> None:
    files = PromptFiles()
    path = ten_frames[0]["PCMU"]
    first, second = files.open(path), files.open(path)
    assert first is second
    assert len(files) == 1
    del first, second
    assert len(files) == 0


def test_a_first_frame_leaves_at_once_and_the_second_with_the_slot(
    ten_frames: tuple[dict[str, str], list[bytes]],
) -> None:
    paths, frames = ten_frames
    slot = Slot()
    _, older, _ = on_air(slot)
    slot.run(1, 0.0, 0.0)
    call, wire, row = on_air(slot)
    call.play(Playback("p", paths, 1), FILES, 0.003)
    slot.begin(row, 0.003)
    slot.begin(row, 0.004)  # it has begun
    assert [sent.payload for sent in wire.sent] == frames[:1]
    slot.run(1, 0.02, 0.02)
    slot.begin(row, 0.021)
    slot.run(1, 0.04, 0.04)
    assert [sent.payload for sent in wire.sent] == frames[:3]
    assert [(sent.sequence, sent.timestamp) for sent in wire.sent] == [(7, 7), (8, 167), (9, 327)]
    assert [sent.marker for sent in wire.sent] == [True, False, False]
    assert [sent.sequence for sent in older.sent] == [7, 8, 9]


def test_numbers_of_a_frame_that_left_at_once_wrap_around() -> None:
    slot = Slot()
    _, wire, row = on_air(slot, random=lambda bits: (1 << bits) - 1)
    slot.begin(row, 0.0)
    slot.run(1, 0.0, 0.0)
    assert [(sent.sequence, sent.timestamp) for sent in wire.sent] == [(0xFFFF, 0xFFFFFFFF), (0, 159)]


def test_a_call_whose_slot_was_first_does_not_begin_again() -> None:
    slot = Slot()
    _, wire, row = on_air(slot)
    slot.run(1, 0.0, 0.0)
    slot.begin(row, 0.001)
    assert [sent.sequence for sent in wire.sent] == [7]


def test_a_first_frame_counts_as_the_one_that_its_slot_sent_last() -> None:
    slot = Slot()
    slot.run(1, 10.0, 10.0)
    _, wire, row = on_air(slot)
    slot.begin(row, 10.004)
    assert slot.rtp_time(row, 10.0) == wire.sent[0].timestamp
    assert slot.rtp_time(row, 10.01) == wire.sent[0].timestamp + 80


def test_the_next_call_goes_to_the_slot_that_ran_last_unless_that_is_fuller() -> None:
    pacer = Pacer(0.0)
    for tick in range(2 * SLOTS):
        pacer.tick((tick + 0.5) * TICK_SECONDS)
        assert pacer.emptiest() is pacer.slots[tick % SLOTS]
    for _ in range(40):
        on_air(pacer.emptiest())
    assert [len(slot) for slot in pacer.slots] == [8] * SLOTS
    on_air(pacer.slots[-1])
    assert pacer.emptiest() is pacer.slots[-1]  # an eighth more than the others
    on_air(pacer.slots[-1])
    assert pacer.emptiest() is pacer.slots[-2]


def test_after_nobody_was_there_the_next_call_has_nearly_a_frame_before_its_slot_runs() -> None:
    pacer = Pacer(0.0)
    pacer.resume(1000.0)
    slot = pacer.emptiest()
    _, wire, row = on_air(slot)
    slot.begin(row, 1000.0)
    pacer.tick(1000.0 + FRAME_SECONDS - 1.01 * TICK_SECONDS)
    assert len(wire.sent) == 1
    pacer.tick(1000.0 + FRAME_SECONDS)
    assert len(wire.sent) == 2
