"""SRTP on one stream: what was agreed upon, and what became of packets that were not what their sender sealed.

Keys that stay the same in a new agreement go on with their counters; others begin anew (RFC 4568 §7.1.4).
"""

import errno

from callwright.errors import RtpError
from callwright.rtp.srtp import Opener, Refused, Sealer
from callwright.telephony.media.stream import Srtp


class Secure:
    """Seals and opens. RtpError for a suite or keys that are none; what came before then stays as it was."""

    __slots__ = ("_opener", "_sealer", "refused")

    def __init__(self, srtp: Srtp) -> None:
        self._sealer = Sealer(srtp.suite, srtp.sending)
        self._opener = Opener(srtp.suite, srtp.receiving)
        self.refused = dict.fromkeys(Refused, 0)
        "packets that were not opened, by why"

    def agree(self, srtp: Srtp) -> None:
        """Other keys, perhaps."""
        sealer, opener = self._sealer, self._opener
        if (sealer.suite, sealer.key) != (srtp.suite, srtp.sending):
            sealer = Sealer(srtp.suite, srtp.sending)
        if (opener.suite, opener.key) != (srtp.suite, srtp.receiving):
            opener = Opener(srtp.suite, srtp.receiving)
        self._sealer, self._opener = sealer, opener

    def seal(self, packet: bytes) -> bytes:
        """An RTP packet as it is to be sent; `OSError` when it cannot be, such as one that was sent before."""
        try:
            return self._sealer.rtp(packet)
        except RtpError as error:
            raise OSError(errno.EINVAL, str(error)) from error

    def seal_report(self, packet: bytes) -> bytes:
        """Likewise for RTCP."""
        try:
            return self._sealer.rtcp(packet)
        except RtpError as error:
            raise OSError(errno.EINVAL, str(error)) from error

    def open(self, packet: bytes) -> bytes | None:
        """The RTP packet inside; None, and counted, when there is none."""
        return self._counted(self._opener.rtp(packet))

    def open_report(self, packet: bytes) -> bytes | None:
        """Likewise for RTCP."""
        return self._counted(self._opener.rtcp(packet))

    def _counted(self, opened: bytes | Refused) -> bytes | None:
        if isinstance(opened, Refused):
            self.refused[opened] += 1
            return None
        return opened
