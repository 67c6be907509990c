"""Local ports: one call's own, or shared by calls whose peers are at different places.

At a shared port one socket sends for all its calls, and each call has a connected one besides that receives: the kernel
hands it exactly what its peer sends, and what ICMP says of what was sent there. So a call at a shared port has its
source check, filter, losses and errors to itself, as any other. RTCP, which is rare, comes by one socket and is told
apart by its source here.
"""

import secrets
import socket
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from callwright.errors import TelephonyError
from callwright.telephony.media.ports import REST_SECONDS, Peers, Place, PortPairs
from callwright.telephony.media.sockets import LARGEST_DATAGRAM, Datagram, bound, emptied

MOST_CALLS: Final = 128
"""At one shared port: enough for a system call to be a small part of what its packets cost."""
BIND_ATTEMPTS: Final = 64
"""Pairs tried for one call; others on this machine may hold some."""
_MOST_EARLY: Final = 1024
"""Datagrams of peers that are not known yet, kept for one shared port."""


class Tenant(Protocol):
    """A call at a port."""

    def receive_rtcp(self, data: bytes, now: float) -> None:
        """Its peer sent RTCP."""


class LocalPort:
    """RTP at `number`, RTCP above it. `OSError` when either is taken."""

    def __init__(self, host: str, number: int, *, shared: bool) -> None:
        self.host = host
        self.number = number
        self.is_shared = shared
        self.calls = 0
        # RTCP first: its port is never shared, so it keeps other processes of ours from a port that is.
        self.rtcp = bound(host, number + 1)
        try:
            self.rtp = bound(host, number, shared=shared)
        except OSError:
            self.rtcp.close()
            raise
        self._tenants: dict[Place, Tenant] = {}
        "by where their RTCP comes from"
        self._places: dict[Place, Tenant] = {}
        "by where their RTP comes from"
        self._left: dict[Place, tuple[float, int | None]] = {}
        "who spoke from there until a moment ago: until when it counts, SSRC"
        self._early: deque[Datagram] = deque(maxlen=_MOST_EARLY)

    def holds(self, rtp: Place, rtcp: Place, tenant: Tenant) -> bool:
        """Would others be mistaken for the call, or the call for others, if its peer were there?"""
        return self._places.get(rtp, tenant) is not tenant or self._tenants.get(rtcp, tenant) is not tenant

    def join(self, rtp: Place, rtcp: Place, tenant: Tenant, now: float) -> int | None:
        """The call's peer is there from now on. Returns the SSRC of whoever spoke from there lately, who is not it."""
        self._places[rtp] = self._tenants[rtcp] = tenant
        for place in [place for place, (until, _) in self._left.items() if until <= now]:
            del self._left[place]
        return self._left.get(rtp, (0.0, None))[1]

    def leave(self, rtp: Place, rtcp: Place, ssrc: int | None, now: float) -> None:
        """The call's peer is there no longer; `ssrc` is whom it heard."""
        self._places.pop(rtp, None)
        self._tenants.pop(rtcp, None)
        if self.is_shared:
            self._left[rtp] = (now + REST_SECONDS, ssrc)

    def connected(
        self, socket_of_call: socket.socket | None, target: tuple[str, int], since: float
    ) -> tuple[socket.socket, list[Datagram]]:
        """The call's socket, connected to `target`, and what came from there since `since` (unix seconds).

        `OSError` when it cannot be connected; a socket that was there before is then as it was.
        """
        made = socket_of_call
        if made is None:
            made = bound(self.host, self.number, shared=True) if self.is_shared else self.rtp
        try:
            made.connect(target)  # nothing from elsewhere arrives any more
        except (OSError, OverflowError):
            if made is not socket_of_call and made is not self.rtp:
                made.close()
            raise
        source = made.getpeername()[:2]
        said = emptied(made)
        if self.is_shared:
            waiting = [*self._early, *emptied(self.rtp), *said]
            recent = [one for one in waiting if one.arrival >= since]
            said = [one for one in recent if one.source == source]
            self._early = deque((one for one in recent if one.source != source), maxlen=_MOST_EARLY)
        return made, [one for one in said if one.source == source and one.arrival >= since]

    def receive_rtcp(self, now: float) -> None:
        """Take one datagram from the RTCP socket."""
        try:
            data, source = self.rtcp.recvfrom(LARGEST_DATAGRAM)
        except OSError:  # nothing there after all
            return
        tenant = self._tenants.get(source[:2])
        if tenant is not None:
            tenant.receive_rtcp(data, now)

    def close(self) -> None:
        """Give both ports back to the system."""
        self.rtp.close()
        self.rtcp.close()


class LocalPorts:
    """Which port a call gets. `opened` and `closed` are told of each one that comes and goes."""

    def __init__(
        self, host: str, ports: range, opened: Callable[[LocalPort], None], closed: Callable[[LocalPort], None]
    ) -> None:
        self._host = host
        self._range = f"{ports.start}-{ports.stop - 1}"
        self._pairs = PortPairs(ports, secrets.randbelow)
        self._opened = opened
        self._closed = closed
        self._peers: dict[str, Peers] = {}
        self._with_room: list[LocalPort] = []
        "shared ones that can take further calls"

    def peers(self, name: str) -> Peers:
        """What is known of the peers behind one trunk."""
        return self._peers.setdefault(name, Peers())

    def take(self, peers: str, now: float) -> LocalPort:
        """A port for a call over a trunk, shared when its peers differ; `TelephonyError` when none is free."""
        if not peers or not self.peers(peers).differ:
            return self.take_own(now)
        if not self._with_room:
            self._with_room.append(self._bind(now, shared=True))
        port = secrets.choice(self._with_room)
        port.calls += 1
        if port.calls == MOST_CALLS:
            self._with_room.remove(port)
        return port

    def take_own(self, now: float) -> LocalPort:
        """A port that no other call has; `TelephonyError` when none is free."""
        port = self._bind(now, shared=False)
        port.calls = 1
        return port

    def _bind(self, now: float, *, shared: bool) -> LocalPort:
        reason = f"no free RTP port in {self._range}; --rtp-ports widens the range"
        for _ in range(BIND_ATTEMPTS):
            number = self._pairs.take(now)
            if number is None:
                break
            try:
                port = LocalPort(self._host, number, shared=shared)
            except OSError as error:
                reason = f"no RTP port on {self._host} in {self._range}: {error.strerror}"
                self._pairs.give_back(number, now)
                continue
            self._opened(port)
            return port
        raise TelephonyError(reason)

    def give_back(self, port: LocalPort, now: float) -> None:
        """A call has left its port."""
        if port.is_shared and port.calls == MOST_CALLS:
            self._with_room.append(port)
        port.calls -= 1
        if not port.calls:
            if port.is_shared:
                self._with_room.remove(port)
            self._closed(port)
            port.close()
            self._pairs.give_back(port.number, now)
