"""What a stream's received packets are wanted for besides their figures: a bridge, keys among the sounds, a recording.

Nobody wants them most of the time, and then nothing is done with them.
"""

from collections.abc import Callable

from callwright.audio import g711
from callwright.audio.dtmf import SURE_AFTER_SECONDS
from callwright.rtp.packet import RtpPacket
from callwright.telephony.media.inbound import Inbound
from callwright.telephony.media.outbound import Outbound
from callwright.telephony.media.recorder import Recorder
from callwright.telephony.media.relay import Kind, Relay
from callwright.telephony.media.stream import RemoteMedia
from callwright.telephony.media.tone_keys import ToneKeys


class Hearing:
    """One stream's ear; `outbound` is its mouth, which bridged streams speak through."""

    def __init__(
        self,
        inbound: Inbound,
        outbound: Outbound,
        our_time: Callable[[float], int],
        pressed: Callable[[str, float], None],
    ) -> None:
        """`our_time(now)` is our own RTP clock; `pressed(key, when)` hears of keys that were found among the sounds."""
        self.inbound = inbound
        self.outbound = outbound
        self.remote: RemoteMedia | None = None
        self.bridged: Hearing | None = None
        self.relay: Relay | None = None
        "takes what is received to the stream that this one is bridged with"
        self._our_time = our_time
        self._pressed = pressed
        self._tone_keys: ToneKeys | None = None
        self._recorder: Recorder | None = None

    def agree(self, remote: RemoteMedia) -> None:
        """What was negotiated, for the first time or anew."""
        self.remote = remote
        self.tune()
        if self.bridged is not None:
            self.bridged.tune()

    def bridge(self, other: "Hearing", now: float) -> None:
        """Let the two hear each other, from the first word of whoever was just picked up."""
        self.unbridge()
        other.unbridge()
        for one, two in ((self, other), (other, self)):
            one.bridged, one.relay = two, Relay(two.outbound)
        for one in (self, other):
            one.tune()
            one.choose_listener()
            for packet in one.inbound.take_beginning(now):
                one.hear(packet, now)

    def unbridge(self) -> None:
        """Each for itself again."""
        for one in (self.bridged, self):
            if one is not None:
                one.bridged = one.relay = None
                one.choose_listener()

    def tune(self) -> None:
        """What goes along to the bridged stream changes with what was agreed upon, on either side."""
        relay, other = self.relay, self.bridged
        if relay is None or other is None or self.remote is None or other.remote is None:
            return
        mine, theirs = self.remote, other.remote
        table = g711.TRANSCODE.get((mine.codec, theirs.codec))
        kinds = {mine.payload_type: Kind(theirs.payload_type, table, theirs.codec)}
        if mine.event_payload_type is not None and theirs.sent_event_payload_type is not None:
            kinds[mine.event_payload_type] = Kind(theirs.sent_event_payload_type)
        relay.kinds = kinds

    def find_keys(self, *, wanted: bool) -> None:
        """Find keys among the sounds, or no longer."""
        if wanted != (self._tone_keys is not None):
            self._tone_keys = ToneKeys() if wanted else None
            self.choose_listener()

    def record(self, recorder: Recorder | None) -> None:
        """Hand what is received and sent to a recorder, or to nobody."""
        self._recorder = self.outbound.recorder = recorder
        self.choose_listener()

    def choose_listener(self) -> None:
        """Take packets only while they are wanted."""
        wanted = self.relay is not None or self._tone_keys is not None or self._recorder is not None
        self.inbound.listen(self.hear if wanted else None)

    def hear(self, packet: RtpPacket, now: float) -> None:
        """A packet came that is believed."""
        if self.relay is not None:
            self.relay.receive(packet, now)
        if self._tone_keys is None and self._recorder is None:
            return
        remote = self.remote
        if remote is None or packet.payload_type != remote.payload_type:
            return
        samples = g711.decode(remote.codec, packet.payload)
        if self._tone_keys is not None:
            for key in self._tone_keys.receive(packet, samples):
                self._pressed(key, now - SURE_AFTER_SECONDS)
        if self._recorder is not None:
            self._recorder.received(packet.ssrc, packet.timestamp, samples, self._our_time(now))
