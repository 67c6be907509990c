"""One direction of a bridge, without sockets: what goes in by hand, what would have left."""

import random

import pytest

from callwright.audio import g711
from callwright.rtp import packet as rtp
from callwright.rtp.packet import RtpPacket
from callwright.rtp.telephone_event import press
from callwright.rtp.wrap import sequence_distance, timestamp_distance
from callwright.telephony.media.framing import G711
from callwright.telephony.media.outbound import RELAY_PATIENCE_SECONDS, Outbound
from callwright.telephony.media.prompts import Playback, PromptFiles
from callwright.telephony.media.recorder import Recorder
from callwright.telephony.media.relay import Kind, Relay

FILES = PromptFiles()
VOICE = bytes(range(160))
PLAIN = {0: Kind(0, None, "PCMU"), 101: Kind(96)}
BEGIN_SEQUENCE, BEGIN_TIMESTAMP = 65_533, 0xFFFF_FF00
"""Our stream is about to wrap around."""


class Line:
    """One stream that sends, frame by frame, and a relay into it."""

    def __init__(self) -> None:
        self.sent: list[RtpPacket] = []
        self.now = 100.0
        self.refuses = False
        self.outbound = Outbound(0xABCD, BEGIN_SEQUENCE, BEGIN_TIMESTAMP, self._send, self)
        self.agree()
        self.relay = Relay(self.outbound)
        self.relay.kinds = PLAIN

    def agree(self, codec: str = "PCMU", payload_type: int = 0, *, sending: bool = True) -> None:
        self.outbound.agree(codec, G711, payload_type, sending, FILES, self.now)

    def _send(self, data: bytes) -> None:
        if self.refuses:
            raise BlockingIOError
        self.sent.append(rtp.parse(data))

    def playback_started(self, playback_id: str, now: float) -> None:
        """Not the matter here."""

    def playback_finished(self, playback_id: str, now: float, reason: str) -> None:
        """Nor this."""

    def tick(self, frames: int = 1) -> None:
        for _ in range(frames):
            self.now += 0.02
            self.outbound.frame(self.now)

    def say(self, sequence: int, timestamp: int | None = None, ssrc: int = 7, kind: int = 0) -> None:
        timestamp = 160 * sequence if timestamp is None else timestamp
        self.relay.receive(RtpPacket(kind, sequence & 0xFFFF, timestamp & 0xFFFF_FFFF, ssrc, VOICE), self.now)

    def steps(self) -> list[tuple[int, int]]:
        """Sequence and timestamp of everything sent, from the first packet on."""
        first = self.sent[0]
        return [
            (sequence_distance(first.sequence, one.sequence), timestamp_distance(first.timestamp, one.timestamp))
            for one in self.sent
        ]


@pytest.fixture
def line() -> Line:
    return Line()


def test_relayed_packets_go_on_where_silence_ends_and_silence_where_they_end(line: Line) -> None:
    line.tick(3)
    for sequence in range(10):
        line.say(5_000 + sequence)
        line.tick()
    line.tick(round(RELAY_PATIENCE_SECONDS / 0.02) + 3)
    voices = [packet.payload == VOICE for packet in line.sent]
    assert voices == [False] * 3 + [True] * 10 + [False] * (len(voices) - 13)
    assert len(voices) in (16, 17)
    assert {packet.ssrc for packet in line.sent} == {0xABCD}
    sequences = [sequence for sequence, _ in line.steps()]
    assert sequences == list(range(len(voices)))
    timestamps = [timestamp for _, timestamp in line.steps()]
    assert timestamps[:13] == [160 * number for number in range(13)]
    assert timestamps[13] == 160 * 17  # five frames later, which was time that passed
    assert [packet.marker for packet in line.sent].index(True) == 0
    assert [index for index, packet in enumerate(line.sent) if packet.marker] == [0, 3]
    assert line.outbound.packets_sent == len(voices)
    assert line.outbound.gaps == 0


def test_nothing_of_ours_is_sent_while_the_other_speaks(line: Line) -> None:
    for sequence in range(200):
        line.say(sequence)
        line.tick()
    assert all(packet.payload == VOICE for packet in line.sent)
    assert line.steps() == [(number, 160 * number) for number in range(200)]


def test_loss_and_disorder_stay_what_they_are(line: Line) -> None:
    line.tick()
    order = [100, 101, 104, 103, 105, 105, 99]
    for sequence in order:
        line.say(sequence)
    assert [sequence - 1 for sequence, _ in line.steps()[1:]] == [0, 1, 4, 3, 5, 5]  # 99 is from before the bridge
    assert [timestamp - 160 for _, timestamp in line.steps()[1:]] == [0, 160, 640, 480, 800, 800]
    line.now += 1.0
    line.tick()
    assert line.steps()[-1][0] == 7


@pytest.mark.parametrize(("sequence", "timestamp"), [(65_500, 0), (0, 0xFFFF_F000), (32_700, 0x7FFF_F000)])
def test_it_goes_on_over_every_wrap_of_the_numbers(line: Line, sequence: int, timestamp: int) -> None:
    for number in range(1_000):
        line.say(sequence + number, timestamp + 160 * number)
        if number % 100 == 0:
            line.outbound.frame(line.now)
    steps = [
        (sequence_distance(one.sequence, two.sequence), timestamp_distance(one.timestamp, two.timestamp))
        for one, two in zip(line.sent, line.sent[1:], strict=False)
    ]
    assert set(steps) == {(1, 160)}


@pytest.mark.parametrize(
    ("sequence", "timestamp", "ssrc"),
    [(900, 90_000, 8), (3, 0x7000_0000, 7), (3, -3_000_000, 7)],
    ids=["another source", "timestamps far ahead", "timestamps far behind"],
)
def test_a_source_that_starts_over_is_put_behind_what_was_sent(
    line: Line, sequence: int, timestamp: int, ssrc: int
) -> None:
    for number in range(3):
        line.say(number)
        line.tick()
    for number in range(3):
        line.say(sequence + number, timestamp + 160 * number, ssrc)
        line.tick()
    assert [number for number, _ in line.steps()] == list(range(6))
    timestamps = [ticks for _, ticks in line.steps()]
    assert timestamps == sorted(timestamps)
    assert timestamps[5] <= 160 * 7
    assert [packet.marker for packet in line.sent] == [True, False, False, True, False, False]


def test_a_faster_clock_on_the_other_side_never_makes_time_run_back(line: Line) -> None:
    for number in range(500):
        line.say(number, 161 * number)
        line.tick()
    line.tick(20)
    timestamps = [ticks for _, ticks in line.steps()]
    assert timestamps == sorted(set(timestamps))


def test_what_came_while_we_were_away_is_relayed_whole(line: Line) -> None:
    line.tick()
    for sequence in range(3):
        line.say(5_000 + sequence)
        line.tick()
    line.outbound.skip(20)  # a busy machine
    line.now += 20 * 0.02
    line.tick(2)
    for sequence in range(3, 25):
        line.say(5_000 + sequence)
    assert [packet.payload == VOICE for packet in line.sent] == [False] + [True] * 25
    assert line.steps() == [(index, 160 * index) for index in range(26)]
    assert line.outbound.gaps == 0
    line.tick(round(RELAY_PATIENCE_SECONDS / 0.02) + 1)
    assert line.sent[-1].payload != VOICE


def test_codes_are_translated_when_the_codecs_differ(line: Line) -> None:
    line.agree("PCMA", 8)
    line.relay.kinds = {0: Kind(8, g711.TRANSCODE["PCMU", "PCMA"], "PCMA")}
    line.say(1)
    [packet] = line.sent
    assert packet.payload_type == 8
    assert packet.payload == g711.encode("PCMA", g711.decode("PCMU", VOICE))


def test_keys_go_along_under_the_other_sides_number(line: Line) -> None:
    line.say(1, 160)
    line.tick()
    for number, frame in enumerate(press("5", 60)):
        packet = RtpPacket(101, 2 + number, 320 + frame.timestamp_ticks, 7, frame.payload, frame.marker)
        line.relay.receive(packet, line.now)
        line.tick()
    line.say(7, 320 + 800)
    keys = [packet for packet in line.sent if packet.payload_type == 96]
    assert [packet.payload for packet in keys] == [frame.payload for frame in press("5", 60)]
    assert {timestamp_distance(line.sent[0].timestamp, packet.timestamp) for packet in keys} == {160}
    assert [packet.marker for packet in keys] == [True, False, False, False, False]
    assert line.steps()[-1] == (6, 960)


def test_what_the_other_side_does_not_take_is_left_out(line: Line) -> None:
    line.relay.kinds = {0: Kind(0, None, "PCMU")}
    line.say(1)
    line.say(2, 320, kind=101)
    line.say(3, 320, kind=13)
    assert len(line.sent) == 1


def test_nothing_is_relayed_to_a_peer_on_hold_and_it_goes_on_afterwards(line: Line) -> None:
    line.say(1)
    line.tick()
    line.agree(sending=False)
    line.say(2)
    line.tick(30)
    line.agree(sending=True)
    line.say(33)
    line.tick()
    assert [number for number, _ in line.steps()] == [0, 1]
    assert line.steps()[1][1] == 160 * 31


def test_a_prompt_goes_before_what_the_other_says(line: Line, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("prompts") / "p"
    path.write_bytes(b"\x11" * 480)
    line.say(1)
    line.tick()
    line.outbound.play(Playback("p", {"PCMU": str(path)}, 1), FILES, line.now)
    for number in range(2, 8):
        line.say(number)
        line.tick()
    kinds = [packet.payload[0] for packet in line.sent]
    assert kinds == [0, 0x11, 0x11, 0x11, 0xFF, 0, 0]
    assert [number for number, _ in line.steps()] == list(range(7))


def test_a_packet_that_the_system_refuses_is_counted(line: Line) -> None:
    line.say(1)
    line.refuses = True
    line.say(2)
    line.refuses = False
    line.say(3)
    assert (line.outbound.packets_sent, line.outbound.send_errors) == (2, 1)
    assert line.steps() == [(0, 0), (2, 320)]


def test_a_recording_hears_what_is_relayed(line: Line) -> None:
    blocks: list[bytes] = []
    line.outbound.recorder = Recorder(line.outbound.next_place()[1], blocks.append)
    for number in range(60):
        line.say(number)
        line.tick()
    line.outbound.recorder.end(line.outbound.next_place()[1])
    assert len(b"".join(blocks)) == 4 * 160 * 60
    assert b"".join(blocks)[2:4] == g711.decode("PCMU", VOICE)[:1].tobytes()


def test_whatever_comes_numbers_only_grow(line: Line) -> None:
    chance = random.Random(3)
    sequence, timestamp = 0, 0
    for _ in range(3_000):
        match chance.randrange(12):
            case 0:
                line.tick(chance.randrange(1, 12))
            case 1:
                sequence, timestamp = chance.randrange(1 << 16), chance.randrange(1 << 32)
                line.say(sequence, timestamp, ssrc=chance.randrange(3))
            case 2:
                line.agree(sending=chance.random() < 0.7)
            case _:
                sequence, timestamp = sequence + 1, timestamp + 160
                line.say(sequence, timestamp, ssrc=1)
                line.tick(chance.randrange(2))
    ours = [sequence_distance(one.sequence, two.sequence) for one, two in zip(line.sent, line.sent[1:], strict=False)]
    assert len(ours) > 1_000
    assert min(ours) >= 1
