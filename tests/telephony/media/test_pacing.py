"""The schedule and what one call sends on it, in either lane; no process and no clock, and sockets of this process."""

import contextlib
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from callwright.audio import g711, tones
from callwright.errors import TelephonyError
from callwright.rtp import packet
from callwright.rtp.packet import RtpPacket
from callwright.telephony.media.framing import G711, Framing
from callwright.telephony.media.lane import Lane
from callwright.telephony.media.outbound import Outbound
from callwright.telephony.media.pacer import FRAME_SECONDS, SLOTS, TICK_SECONDS, Pacer
from callwright.telephony.media.prompts import Playback, PromptFiles
from callwright.telephony.media.slot import MOST_ROWS, Slot
from callwright.telephony.media.wire import Batch, socket_name

FILES = PromptFiles()
SILENCE = b"\xff" * 160
LANES = pytest.mark.parametrize("by_itself", [False, True], ids=["fast", "slow"])


class OnAir:
    """One call that sends, and what it sent."""

    def __init__(self, pacer: Pacer, by_itself: bool = False, first: tuple[int, int] = (7, 7)) -> None:
        self.near, self.far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.told: list[tuple[str, str]] = []
        self.refuses = False
        self._heard: list[RtpPacket] = []
        self.outbound = Outbound(0xABCD, *first, self._send, self)
        self.lane = Lane(self.outbound, pacer)
        self.agree()
        self.enter(by_itself)

    def agree(self, codec: str = "PCMU", framing: Framing = G711, *, sending: bool = True) -> None:
        self.outbound.agree(codec, framing, {"PCMU": 0, "PCMA": 8}[codec], sending, FILES, 0.0)

    def enter(self, by_itself: bool, now: float = 0.0) -> None:
        self.lane.enter(self.near.fileno(), b"", by_itself=by_itself, now=now)

    def _send(self, data: bytes) -> None:
        if self.refuses:
            raise BlockingIOError
        self.near.send(data)

    def playback_started(self, playback_id: str, now: float) -> None:
        self.told.append(("started", playback_id))

    def playback_finished(self, playback_id: str, now: float, reason: str) -> None:
        self.told.append((reason or "completed", playback_id))

    def play(self, paths: dict[str, str], repetition: int = 1, name: str = "p", now: float = 0.0) -> None:
        self.outbound.play(Playback(name, paths, repetition), FILES, now)
        self.lane.begin(now)

    @property
    def sent(self) -> list[RtpPacket]:
        """Everything so far."""
        with contextlib.suppress(BlockingIOError):
            while True:
                self._heard.append(packet.parse(self.far.recv(2048)))
        return self._heard

    @property
    def payloads(self) -> list[bytes]:
        return [sent.payload for sent in self.sent]

    def close(self) -> None:
        self.near.close()
        self.far.close()


Call = Callable[..., OnAir]


@pytest.fixture
def call() -> Iterator[Call]:
    """Puts calls on the air."""
    made: list[OnAir] = []

    def make(pacer: Pacer, by_itself: bool = False, first: tuple[int, int] = (7, 7)) -> OnAir:
        made.append(OnAir(pacer, by_itself, first))
        return made[-1]

    yield make
    for one in made:
        one.close()


def run(pacer: Pacer, frames: int, late: int = 0) -> None:
    """So many frames on time, or the last of them after `late` more that nobody saw to."""
    for _ in range(frames):
        for _ in range(SLOTS):
            pacer.tick(pacer._begin + (pacer._ticks + 0.5) * TICK_SECONDS)
    if late:
        pacer.tick(pacer._begin + (pacer._ticks + late * SLOTS - 0.5) * TICK_SECONDS)


@pytest.fixture
def ten_frames(tmp_path: Path) -> tuple[dict[str, str], list[bytes]]:
    """A prompt of ten different frames, and the frames."""
    codes = g711.encode("PCMU", tones.sine(333.3, 0.2))
    paths = {"PCMU": str(tmp_path / "ten"), "PCMA": str(tmp_path / "ten.a")}
    Path(paths["PCMU"]).write_bytes(codes)
    Path(paths["PCMA"]).write_bytes(codes.translate(g711.TRANSCODE["PCMU", "PCMA"]))
    return paths, [codes[n : n + 160] for n in range(0, 1600, 160)]


@LANES
def test_each_slot_runs_once_in_20_ms(call: Call, by_itself: bool) -> None:
    pacer = Pacer(100.0)
    calls = [call(pacer, by_itself) for _ in range(SLOTS)]
    calls.reverse()  # the slot that is due last is taken first
    for tick in range(3 * SLOTS):
        assert pacer.due_at == pytest.approx(100 + tick * TICK_SECONDS)
        pacer.tick(pacer.due_at + 1e-6)
        assert [len(one.sent) for one in calls] == [(tick + SLOTS - n) // SLOTS for n in range(SLOTS)]


@LANES
def test_calls_are_spread_over_the_slots(call: Call, by_itself: bool) -> None:
    pacer = Pacer(0.0)
    calls = [call(pacer, by_itself) for _ in range(3 * SLOTS + 1)]
    assert sorted(slot.calls for slot in pacer.slots) == [3, 3, 3, 3, 4]
    for one in calls:
        one.lane.leave()
    assert [slot.calls for slot in pacer.slots] == [0] * SLOTS


@LANES
def test_numbers_wrap_around(call: Call, by_itself: bool) -> None:
    pacer = Pacer(0.0)
    one = call(pacer, by_itself, (0xFFFF, 0xFFFFFFFF))
    run(pacer, 2)
    assert [(sent.sequence, sent.timestamp) for sent in one.sent] == [(0xFFFF, 0xFFFFFFFF), (0, 159)]


@LANES
@pytest.mark.parametrize(("late_frames", "skipped"), [(0, 0), (1, 0), (2, 1), (7, 6), (600, 599)])
def test_late_frames_are_skipped_but_one_and_numbers_stay_on_schedule(
    call: Call, by_itself: bool, late_frames: int, skipped: int
) -> None:
    pacer = Pacer(0.0)
    calls = [call(pacer, by_itself) for _ in range(SLOTS)]
    run(pacer, 1, 1 + late_frames)
    for one in calls:
        steps = [0, *range(1 + skipped, 2 + late_frames)]
        assert [sent.sequence - 7 for sent in one.sent] == steps
        assert [(sent.timestamp - 7) // 160 for sent in one.sent] == steps
        assert one.outbound.gaps == skipped
    assert pacer.due_at == pytest.approx(FRAME_SECONDS * (2 + late_frames))


@LANES
def test_a_skipped_part_of_a_prompt_is_not_heard_later(
    call: Call, by_itself: bool, ten_frames: tuple[dict[str, str], list[bytes]]
) -> None:
    paths, frames = ten_frames
    pacer = Pacer(0.0)
    one = call(pacer, by_itself)
    one.play(paths, 2)  # frame 0 leaves at once
    for late in (5, 1, 12):  # 1-3 lost, 4 and 5; 6; 7-16 lost, 17 and 18
        run(pacer, 0, late)
    expected = [0, 4, 5, 6, 17, 18]
    assert one.payloads == [frames[n % 10] for n in expected]
    assert one.told == [("started", "p")]
    run(pacer, 1)
    assert one.told == [("started", "p")]  # the last frame leaves now, and takes 20 ms to be heard
    run(pacer, 1)
    assert one.told == [("started", "p"), ("completed", "p")]
    assert one.sent[-1].payload == SILENCE


@LANES
def test_a_prompt_whose_end_was_skipped_is_completed(
    call: Call, by_itself: bool, ten_frames: tuple[dict[str, str], list[bytes]]
) -> None:
    pacer = Pacer(0.0)
    one = call(pacer, by_itself)
    one.play(ten_frames[0])
    run(pacer, 0, 10_000)
    assert one.told == [("started", "p"), ("completed", "p")]
    assert one.sent[-1].payload == SILENCE


@LANES
def test_a_playback_that_begins_after_frames_were_skipped_is_heard_from_its_beginning(
    call: Call, by_itself: bool, ten_frames: tuple[dict[str, str], list[bytes]]
) -> None:
    paths, frames = ten_frames
    pacer = Pacer(0.0)
    one = call(pacer, by_itself)
    run(pacer, 1)
    one.play(paths)
    run(pacer, 0, 9)
    run(pacer, 1)
    assert one.payloads == [SILENCE, *frames[:3]]


@LANES
def test_repetitions_follow_each_other_without_a_hole(
    call: Call, by_itself: bool, ten_frames: tuple[dict[str, str], list[bytes]]
) -> None:
    paths, frames = ten_frames
    pacer = Pacer(0.0)
    one = call(pacer, by_itself)
    one.play(paths, 3)
    one.play(paths, 1, "q")
    run(pacer, 41)
    assert one.payloads == [*frames * 4, SILENCE, SILENCE]
    assert one.told == [("started", "p"), ("completed", "p"), ("started", "q"), ("completed", "q")]


@LANES
def test_what_is_cut_is_silent_and_what_waits_is_next(
    call: Call, by_itself: bool, ten_frames: tuple[dict[str, str], list[bytes]]
) -> None:
    paths, frames = ten_frames
    pacer = Pacer(0.0)
    one = call(pacer, by_itself)
    for name in "abc":
        one.play(paths, 0, name)
    run(pacer, 13)
    one.outbound.cut("b", 0.3)
    one.outbound.cut("a", 0.3)
    one.outbound.cut("a", 0.3)
    run(pacer, 2)
    one.outbound.cut("c", 0.4)
    run(pacer, 1)
    assert one.payloads == [*frames, *frames[:4], *frames[:2], SILENCE]
    assert one.told == [("started", "a"), ("stopped", "b"), ("stopped", "a"), ("started", "c"), ("stopped", "c")]


def test_lanes_are_changed_without_a_trace(call: Call, ten_frames: tuple[dict[str, str], list[bytes]]) -> None:
    paths, frames = ten_frames
    pacer = Pacer(0.0)
    one = call(pacer)
    one.play(paths, 5)
    for step in range(49):
        one.lane.pause()
        one.enter(step % 3 == 0, pacer.due_at)
        run(pacer, 1)
    assert one.payloads == frames * 5
    assert [sent.sequence for sent in one.sent] == list(range(7, 57))
    assert [sent.timestamp for sent in one.sent] == [7 + 160 * n for n in range(50)]
    assert [sent.marker for sent in one.sent] == [True] + [False] * 49
    assert (one.outbound.packets_sent, one.outbound.gaps, one.outbound.octets_sent) == (50, 0, 8_000)


@LANES
def test_on_hold_time_goes_on_and_numbers_do_not(
    call: Call, by_itself: bool, ten_frames: tuple[dict[str, str], list[bytes]]
) -> None:
    paths, frames = ten_frames
    pacer = Pacer(0.0)
    one = call(pacer, by_itself)
    one.play(paths, 2)
    for sending in (False, True):
        run(pacer, 3)
        one.lane.pause()
        one.agree(sending=sending)
        one.enter(by_itself)
    run(pacer, 2)
    assert one.payloads == [*frames[:4], *frames[7:9]]
    assert [sent.sequence - 7 for sent in one.sent] == list(range(6))
    assert [(sent.timestamp - 7) // 160 for sent in one.sent] == [0, 1, 2, 3, 7, 8]
    assert [sent.marker for sent in one.sent] == [True, False, False, False, True, False]
    assert one.outbound.gaps == 0


@LANES
def test_a_playback_goes_on_in_another_codec(
    call: Call, by_itself: bool, ten_frames: tuple[dict[str, str], list[bytes]]
) -> None:
    paths, frames = ten_frames
    pacer = Pacer(0.0)
    one = call(pacer, by_itself)
    one.play(paths)
    run(pacer, 3)
    one.lane.pause()
    one.agree("PCMA")
    one.enter(by_itself)
    run(pacer, 7)
    table = g711.TRANSCODE["PCMU", "PCMA"]
    assert table is not None
    assert one.payloads == [*frames[:4], *(frame.translate(table) for frame in frames[4:]), b"\xd5" * 160]
    assert [sent.payload_type for sent in one.sent] == [0] * 4 + [8] * 7


@LANES
def test_a_codec_that_a_playback_has_no_form_in_ends_it(
    call: Call, by_itself: bool, ten_frames: tuple[dict[str, str], list[bytes]]
) -> None:
    paths, _ = ten_frames
    pacer = Pacer(0.0)
    one = call(pacer, by_itself)
    one.play({"PCMU": paths["PCMU"]})
    one.play({"PCMU": paths["PCMU"]}, 1, "q")
    one.lane.pause()
    one.agree("PCMA")
    one.enter(by_itself)
    run(pacer, 1)
    assert one.told == [("started", "p"), *(("the prompt has no PCMA form", name) for name in "pq")]
    assert one.payloads[-1] == b"\xd5" * 160


@pytest.mark.parametrize(("milliseconds", "packets"), [(10, 9), (30, 3), (40, 3), (60, 2)])
def test_frames_of_another_length_keep_a_schedule_of_their_own(
    call: Call, milliseconds: int, packets: int, ten_frames: tuple[dict[str, str], list[bytes]]
) -> None:
    paths, frames = ten_frames
    pacer = Pacer(0.0)
    one = call(pacer)
    size = 8 * milliseconds
    one.lane.pause()
    one.agree(framing=Framing(size, size, milliseconds / 1000))
    one.enter(by_itself=False)
    one.outbound.play(Playback("p", paths, 1), FILES, 0.0)
    now = first_at = one.outbound.due_at
    while now <= first_at + 0.0801:
        now = max(now, pacer.due_at)
        pacer.tick(now)
    sound = b"".join(frames)
    assert one.payloads[:packets] == [sound[n * size : (n + 1) * size] for n in range(packets)]
    assert [(sent.timestamp - 7) // size for sent in one.sent[:packets]] == list(range(packets))


def test_the_last_frame_is_filled_with_silence(call: Call, ten_frames: tuple[dict[str, str], list[bytes]]) -> None:
    paths, frames = ten_frames
    pacer = Pacer(0.0)
    one = call(pacer)
    one.lane.pause()
    one.agree(framing=Framing(480, 480, 0.060))
    one.play(paths, 2)
    one.enter(by_itself=True)  # the first leaves at once
    run(pacer, 3 * 7)
    sound = b"".join(frames) + b"\xff" * 320
    assert one.payloads == [sound[n : n + 480] for n in range(0, 1920, 480)] * 2
    assert one.told == [("started", "p")]


@LANES
def test_nothing_was_missed_while_nobody_was_there(call: Call, by_itself: bool) -> None:
    pacer = Pacer(0.0)
    pacer.resume(1000.0)
    one = call(pacer, by_itself)
    pacer.tick(1000.0 + FRAME_SECONDS)
    assert (len(one.sent), one.outbound.gaps) == (1, 0)


@LANES
def test_report_times_run_with_the_stream(call: Call, by_itself: bool) -> None:
    pacer = Pacer(10.0)
    one = call(pacer, by_itself)
    assert one.lane.rtp_time(10.004) == 2**32 + 7 - 96  # the slot is due at 10.016
    for tick in range(SLOTS):
        pacer.tick(10.0 + (tick + 0.1) * TICK_SECONDS)
    assert one.lane.rtp_time(10.016) == 7
    assert one.lane.rtp_time(10.026) == 7 + 80


def test_prompts_are_mapped_once_while_they_are_played(ten_frames: tuple[dict[str, str], list[bytes]]) -> None:
    files = PromptFiles()
    path = ten_frames[0]["PCMU"]
    first, second = files.open(path), files.open(path)
    assert first is second
    assert len(files) == 1
    del first, second
    assert len(files) == 0


@LANES
def test_a_first_frame_leaves_at_once_and_the_second_with_the_slot(
    call: Call, by_itself: bool, ten_frames: tuple[dict[str, str], list[bytes]]
) -> None:
    paths, frames = ten_frames
    pacer = Pacer(0.0)
    one = call(pacer, by_itself)
    one.play(paths, now=0.003)
    one.lane.begin(0.004)  # it has begun
    assert one.payloads == frames[:1]
    run(pacer, 1)
    one.lane.begin(0.021)
    run(pacer, 1)
    assert one.payloads == frames[:3]
    assert [(sent.sequence, sent.timestamp) for sent in one.sent] == [(7, 7), (8, 167), (9, 327)]
    assert [sent.marker for sent in one.sent] == [True, False, False]


@LANES
def test_a_call_whose_slot_was_first_does_not_begin_again(
    call: Call, by_itself: bool, ten_frames: tuple[dict[str, str], list[bytes]]
) -> None:
    pacer = Pacer(0.0)
    one = call(pacer, by_itself)
    run(pacer, 1)
    one.play(ten_frames[0], now=0.021)
    assert [sent.sequence for sent in one.sent] == [7]


def test_the_next_call_goes_to_the_slot_that_ran_last_unless_that_is_fuller(call: Call) -> None:
    pacer = Pacer(0.0)
    for tick in range(2 * SLOTS):
        pacer.tick((tick + 0.5) * TICK_SECONDS)
        assert pacer.emptiest() is pacer.slots[tick % SLOTS]
    for _ in range(40):
        call(pacer)
    assert [slot.calls for slot in pacer.slots] == [8] * SLOTS
    assert call(pacer).lane.slot is pacer.slots[-1]
    assert pacer.emptiest() is pacer.slots[-1]  # an eighth more than the others
    call(pacer)
    assert pacer.emptiest() is pacer.slots[-2]


def test_after_nobody_was_there_the_next_call_has_nearly_a_frame_before_its_slot_runs(
    call: Call, ten_frames: tuple[dict[str, str], list[bytes]]
) -> None:
    pacer = Pacer(0.0)
    pacer.resume(1000.0)
    one = call(pacer)
    one.play(ten_frames[0], now=1000.0)
    pacer.tick(1000.0 + FRAME_SECONDS - 1.01 * TICK_SECONDS)
    assert len(one.sent) == 1
    pacer.tick(1000.0 + FRAME_SECONDS)
    assert len(one.sent) == 2


# --- many calls and one socket ---------------------------------------------------------------------------------------


class Silent:
    """A call that asks for nothing."""

    def turn(self, now: float) -> None:
        raise AssertionError("the run is endless")

    def turn_late(self, skipped: int) -> None:
        raise AssertionError("the run is endless")


@pytest.fixture
def ears() -> Iterator[list[socket.socket]]:
    """Forty places to send to."""
    made = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) for _ in range(40)]
    for ear in made:
        ear.bind(("127.0.0.1", 0))
    yield made
    for ear in made:
        ear.close()


@pytest.fixture
def mouth() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as made:
        made.bind(("127.0.0.1", 0))
        yield made


def heard(ear: socket.socket) -> list[RtpPacket]:
    packets = []
    with contextlib.suppress(BlockingIOError):
        while True:
            packets.append(packet.parse(ear.recv(2048)))
    return packets


def test_calls_of_one_socket_come_and_go_and_each_peer_hears_its_own(
    ears: list[socket.socket], mouth: socket.socket
) -> None:
    slot = Slot()
    sound = memoryview(bytearray(bytes(range(160)) * 3))
    address = np.frombuffer(sound, dtype=np.uint8).ctypes.data
    seats = {}
    for n, ear in enumerate(ears):
        name = socket_name(*ear.getsockname())
        seats[n] = slot.seat(Silent(), (n, 1000 * n), n, 0, 160, mouth.fileno(), name)
        seats[n].show(address, 160 if n % 2 else 0, 1 << 40)
        slot.run(1, 0.0, 0.0)
    for n in range(0, 40, 3):
        seats.pop(n).leave()
    slot.run(1, 0.0, 0.0)
    for n, ear in enumerate(ears):
        packets = heard(ear)
        assert len(packets) == 40 - n + (n % 3 > 0)
        assert {one.ssrc for one in packets} == {n}
        assert [one.sequence for one in packets] == [n + step for step in range(len(packets))]
        assert [one.timestamp for one in packets] == [1000 * n + 160 * step for step in range(len(packets))]
        if n % 2 == 0:
            assert {one.payload for one in packets} == {bytes(range(160))}
    for n, seat in seats.items():
        assert seat.packets_sent == 41 - n


def test_a_row_is_used_again_with_a_new_beginning(ears: list[socket.socket], mouth: socket.socket) -> None:
    slot = Slot()
    payload = memoryview(bytearray(SILENCE))
    address = np.frombuffer(payload, dtype=np.uint8).ctypes.data
    for n in (0, 1):
        seat = slot.seat(Silent(), (50, 60), n, 0, 160, mouth.fileno(), socket_name(*ears[n].getsockname()))
        seat.show(address, 0, 1 << 40)
        slot.run(1, 0.0, 0.0)
        assert (seat.packets_sent, seat.place) == (1, (51, 220))
        seat.leave()
        slot.run(1, 0.0, 0.0)
        assert [(one.sequence, one.ssrc) for one in heard(ears[n])] == [(50, n)]


def test_one_packet_that_the_system_refuses_is_counted_and_the_others_leave(
    ears: list[socket.socket], mouth: socket.socket
) -> None:
    slot = Slot()
    payload = memoryview(bytearray(SILENCE))
    address = np.frombuffer(payload, dtype=np.uint8).ctypes.data
    seats = []
    for n in range(8):
        port = 0 if n in (0, 3, 7) else ears[n].getsockname()[1]  # nothing can be sent to port 0
        seats.append(slot.seat(Silent(), (0, 0), n, 0x80, 160, mouth.fileno(), socket_name("127.0.0.1", port)))
        seats[-1].show(address, 0, 1 << 40)
    slot.run(2, 0.0, 0.0)
    assert [len(heard(ears[n])) for n in range(8)] == [0, 2, 2, 0, 2, 2, 2, 0]
    assert [seat.send_errors for seat in seats] == [2, 0, 0, 2, 0, 0, 0, 2]
    assert [seat.packets_sent for seat in seats] == [0, 2, 2, 0, 2, 2, 2, 0]
    assert seats[0].place == (2, 320)


def test_a_socket_without_room_costs_packets_and_nothing_else() -> None:
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    slot = Slot()
    payload = memoryview(bytearray(SILENCE))
    address = np.frombuffer(payload, dtype=np.uint8).ctypes.data
    with near, far:
        seats = [slot.seat(Silent(), (0, 0), n, 0, 160, near.fileno(), b"") for n in range(4)]
        for seat in seats:
            seat.show(address, 0, 1 << 40)
        for _ in range(2_000):
            slot.run(1, 0.0, 0.0)
        sent = len(heard(far))
        assert 0 < sent < 8_000
        assert sum(seat.packets_sent for seat in seats) == sent
        assert sum(seat.send_errors for seat in seats) == 8_000 - sent
        slot.run(1, 0.0, 0.0)
        assert {(one.sequence, one.ssrc) for one in heard(far)} == {(2_000, n) for n in range(4)}


def test_a_full_slot_says_so(mouth: socket.socket) -> None:
    slot = Slot()
    seats = [slot.seat(Silent(), (0, 0), 0, 0, 160, None, b"") for _ in range(MOST_ROWS)]
    assert slot.is_full
    with pytest.raises(IndexError):
        slot.seat(Silent(), (0, 0), 0, 0, 160, mouth.fileno(), b"")
    seats[100].leave()
    assert not slot.is_full


def test_a_batch_keeps_what_is_left_in_it(ears: list[socket.socket], mouth: socket.socket) -> None:
    batch = Batch(mouth.fileno())
    with pytest.raises(ValueError, match="7"):
        batch.remove(7)
    assert batch.send() == []


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "192.0.2.200"])
def test_socket_names_are_as_the_kernel_wants_them(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    name = socket_name(address, 0x1234)
    assert int.from_bytes(name[:2], sys.byteorder) == family
    assert name[2:4] == b"\x12\x34"
    assert socket.inet_pton(family, address) in name


def test_a_prompt_that_is_no_whole_number_of_frames_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "odd"
    path.write_bytes(bytes(161))
    with pytest.raises(TelephonyError, match="161 bytes"):
        Playback("p", {"PCMU": str(path)}, 1).load(PromptFiles(), "PCMU", G711)
