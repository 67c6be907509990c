"""What a stream's received packets are wanted for besides their figures: a bridge, keys among the sounds, a recording.

Nobody wants them most of the time, and then nothing is done with them. Packets are taken as they come where that will
do: bridges whose sides agree in codec and packet time forward them, and G.711 stands for itself, packet by packet, so
recordings place it and keys are found in it. Everything else hears the playout (playout.py).
"""

from collections.abc import Callable

from callwright.audio import g711
from callwright.audio.codecs import CODECS
from callwright.audio.coding import Resampler
from callwright.audio.dtmf import SURE_AFTER_SECONDS
from callwright.rtp.packet import RtpPacket
from callwright.rtp.wrap import timestamp_distance
from callwright.telephony.media.inbound import BEGINNING_SECONDS, Inbound
from callwright.telephony.media.outbound import Outbound
from callwright.telephony.media.playout import Heard, Playout, Schedule
from callwright.telephony.media.recorder import SAMPLE_RATE, Recorder
from callwright.telephony.media.relay import Kind, Relay
from callwright.telephony.media.stream import RemoteMedia
from callwright.telephony.media.tone_keys import ToneKeys
from callwright.telephony.media.transcode import Transcoder


def forwarded(mine: RemoteMedia, theirs: RemoteMedia) -> dict[int, Kind] | None:
    """What becomes of the packets of `mine` when they are sent to `theirs`; None when they have to be made anew.

    G.711 is translated code by code.
    """
    if mine.ptime_ms != theirs.ptime_ms and CODECS[theirs.codec].is_divisible:
        return None
    kinds = {}
    for number, codec in mine.sounds.items():
        table = g711.TRANSCODE.get((codec, theirs.codec))
        if codec != theirs.codec and table is None:
            return None
        kinds[number] = Kind(theirs.payload_type, table, theirs.codec)
    if mine.event_payload_type is not None and theirs.sent_event_payload_type is not None:
        clocks = mine.heard_event_clock_rate, theirs.event_clock_rate
        kinds[mine.event_payload_type] = Kind(theirs.sent_event_payload_type, event_clocks=clocks)
    return kinds


class Hearing:
    """One stream's ear; `outbound` is its mouth, which bridged streams speak through."""

    def __init__(
        self,
        inbound: Inbound,
        outbound: Outbound,
        schedule: Schedule,
        our_time: Callable[[float], int],
        pressed: Callable[[str, float], None],
    ) -> None:
        """`our_time(now)` is our own RTP clock; `pressed(key, when)` hears of keys that were found among the sounds."""
        self.inbound = inbound
        self.outbound = outbound
        self.remote: RemoteMedia | None = None
        self.bridged: Hearing | None = None
        self.relay: Relay | None = None
        "takes what is received to the stream that this one is bridged with, if that will do"
        self._transcoder: Transcoder | None = None
        "does, if not"
        self._playout: Playout | None = None
        "while somebody has to hear that"
        self._schedule = schedule
        self._our_time = our_time
        self._pressed = pressed
        self._tone_keys: ToneKeys | None = None
        self._recorder: Recorder | None = None
        self._to_8_khz: tuple[int, Resampler] = (SAMPLE_RATE, Resampler(SAMPLE_RATE, SAMPLE_RATE))

    def agree(self, remote: RemoteMedia, now: float) -> None:
        """What was negotiated, for the first time or anew."""
        self.remote = remote
        if self._recorder is not None:
            self._recorder.agree(CODECS[remote.codec].clock_rate, self._our_time(now))
        self.tune(now)
        if self.bridged is not None:
            self.bridged.tune(now)

    def bridge(self, other: "Hearing", now: float) -> None:
        """Let the two hear each other, from the first word of whoever was just picked up."""
        self.unbridge(now)
        other.unbridge(now)
        self.bridged, other.bridged = other, self
        for one in (self, other):
            one.tune(now)
            one.hear_beginning(now)

    def hear_beginning(self, now: float) -> None:
        """What the peer said a moment ago, before anybody was told to listen."""
        packets = self.inbound.take_beginning(now)
        for packet in packets:
            ticks = timestamp_distance(packet.timestamp, packets[-1].timestamp)
            ago = ticks / self.inbound.statistics.clock_rate
            self.hear(packet, now, now - min(max(0.0, ago), BEGINNING_SECONDS))

    def unbridge(self, now: float) -> None:
        """Each for itself again."""
        for one in (self.bridged, self):
            if one is not None:
                one.bridged = None
                one.tune(now)

    def tune(self, now: float) -> None:
        """How what is received goes along to the bridged stream changes with what was agreed upon, on either side."""
        other, mine = self.bridged, self.remote
        theirs = None if other is None else other.remote
        if other is None or mine is None or theirs is None:
            self.relay = self._transcoder = None
        else:
            kinds = forwarded(mine, theirs)
            self._transcoder = None
            if kinds is None:
                self.relay = None
                self._transcoder = Transcoder(other.outbound, theirs, mine.heard_event_clock_rate)
            else:
                self.relay = self.relay or Relay(other.outbound)
                self.relay.kinds = kinds
        self._choose(now)

    def find_keys(self, *, wanted: bool, now: float) -> None:
        """Find keys among the sounds, or no longer."""
        if wanted != (self._tone_keys is not None):
            self._tone_keys = ToneKeys() if wanted else None
            self._choose(now)

    def record(self, recorder: Recorder | None, now: float) -> None:
        """Hand what is received and sent to a recorder, or to nobody, once it has what came until now."""
        if self._recorder is not None and self._playout is not None:
            self._playout.flush(now)
        self._recorder = self.outbound.recorder = recorder
        self._choose(now)

    def _choose(self, now: float) -> None:
        """Take packets only while they are wanted, and in order only while that is."""
        listens = self._tone_keys is not None or self._recorder is not None
        bridged = self.relay is not None or self._transcoder is not None
        self.inbound.listen(self.hear if bridged or listens else None)
        remote = self.remote
        wide = remote is not None and any(codec not in g711.ENCODINGS for codec in remote.sounds.values())
        if self._transcoder is None and not (listens and wide):
            if self._playout is not None:
                self._playout.stop()
                self._playout = None
        elif remote is not None:
            if self._playout is None:
                self._playout = Playout(self._schedule, self._hear_in_order)
                self._playout.start(now)
            self._playout.agree(remote.sounds, remote.event_payload_type)

    def close(self) -> None:
        """Hear nothing more."""
        if self._playout is not None:
            self._playout.stop()
            self._playout = None

    def hear(self, packet: RtpPacket, now: float, arrival: float | None = None) -> None:
        """A packet came that is believed, now or a moment ago."""
        if self.relay is not None:
            self.relay.receive(packet, now)
        if self._playout is not None:
            self._playout.receive(packet, now if arrival is None else arrival, now)
        if self._tone_keys is None and self._recorder is None:
            return
        codec = "" if self.remote is None else self.remote.sounds.get(packet.payload_type, "")
        if codec not in g711.ENCODINGS:
            return
        samples = g711.decode(codec, packet.payload)
        if self._tone_keys is not None:
            for key in self._tone_keys.receive(packet, samples):
                self._pressed(key, now - SURE_AFTER_SECONDS)
        if self._recorder is not None:
            self._recorder.received(packet.ssrc, packet.timestamp, samples, self._our_time(now))

    def _hear_in_order(self, heard: Heard, now: float) -> None:
        if self._transcoder is not None:
            self._transcoder.hear(heard, now)
        if heard.packet is not None or not len(heard.samples) or heard.sample_rate == SAMPLE_RATE:
            return  # G.711 is listened to as it comes
        if self._tone_keys is None and self._recorder is None:
            return
        if self._to_8_khz[0] != heard.sample_rate:
            self._to_8_khz = heard.sample_rate, Resampler(heard.sample_rate, SAMPLE_RATE)
        samples = self._to_8_khz[1].in_step(heard.samples)
        delay = 0.0 if self._playout is None else self._playout.delay_seconds
        if self._tone_keys is not None:
            for key in self._tone_keys.hear(samples, heard.pause_seconds):
                self._pressed(key, now - delay - SURE_AFTER_SECONDS)
        if self._recorder is not None:
            our_time = self._our_time(now - delay)
            self._recorder.received(heard.ssrc, heard.timestamp, samples, our_time, heard.clock_rate)
