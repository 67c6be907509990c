"""Floods a SIP port, as a process of its own: `python -m soak.flooder HOST PORT RATE`.

Half of the datagrams come from the trunk's address (HOST, at other ports than the trunk's), half from addresses of
strangers; connections from both stall in the middle of a message. Answers are not read: the kernel drops them. What
strangers get is kept, because it should be nothing.

Commands are lines on standard input, answers are JSON lines on standard output:

    begin    flood from now on; {}
    report   {"sent", "behind", "strangers_answered", "connections"} since `begin`, and {"METHOD": n} for each
    end      stop flooding; the report
"""

import contextlib
import json
import secrets
import select
import socket
import sys
import time
from collections import Counter

from soak.attack import METHODS, shots

TICK_SECONDS = 0.005
MOST_BEHIND_SECONDS = 0.1
"""What could not be sent for so long is not made up for."""
INSIDE_SOCKETS = 4
STRANGERS = 16
SMALL_BUFFER = 4_096
STALLED = {"trunk": 400, "stranger": 40}
"""Connections that are kept trying; a trunk's address may open 200."""
CONNECTS_A_TICK = 2
HALF_A_MESSAGE = (
    b"INVITE sip:+6531580000@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK1\r\nContent-Length: 9"
)


def udp_at(host: str) -> socket.socket:
    """Bound at any port; what it receives is not read, and little of it kept."""
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
    udp.bind((host, 0))
    return udp


class Flooder:
    """Everything that floods one address."""

    def __init__(self, host: str, port: int, rate: float) -> None:
        self._target = (host, port)
        self._host = host
        self._rate = rate
        self._shots = shots(host, port)
        self._inside = [udp_at(host) for _ in range(INSIDE_SOCKETS)]
        self._strangers = [udp_at(f"127.0.0.{number}") for number in range(2, 2 + STRANGERS)]
        self._first = secrets.randbits(40) << 20
        self._stalled: dict[str, list[socket.socket]] = {"trunk": [], "stranger": []}
        self._sent = self._behind = self._strangers_answered = 0
        self._methods: Counter[str] = Counter()
        self._began: float | None = None

    def tick(self, now: float) -> None:
        """Send what is due."""
        if self._began is None:
            return
        due = int((now - self._began) * self._rate) - self._sent - self._behind
        late = max(0, due - int(self._rate * MOST_BEHIND_SECONDS))
        self._behind += late
        for _ in range(due - late):
            self._send_one()
        for kind in self._stalled:
            self._connect(kind)

    def _send_one(self) -> None:
        number = self._sent
        self._sent += 1
        # Every second one is from the trunk's address, and both kinds of sources send all kinds of messages.
        turn = number // 2
        sources = self._strangers if number % 2 else self._inside
        shot = self._shots[turn % len(self._shots)]
        self._methods[shot.method] += 1
        with contextlib.suppress(BlockingIOError):
            sources[turn // len(self._shots) % len(sources)].sendto(shot.numbered(self._first + number), self._target)

    def _connect(self, kind: str) -> None:
        """Drop connections that were closed over there, and open a few in their place."""
        connections = self._stalled[kind]
        for one in connections[:CONNECTS_A_TICK]:
            connections.remove(one)
            if _is_open(one):
                connections.append(one)
            else:
                one.close()
        if len(connections) < STALLED[kind]:
            tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            tcp.bind((self._host if kind == "trunk" else "127.0.0.3", 0))
            with contextlib.suppress(BlockingIOError):
                tcp.connect(self._target)
            with contextlib.suppress(OSError):  # on the loopback it stands already, unless too many wait over there
                tcp.send(HALF_A_MESSAGE)
            connections.append(tcp)

    def report(self) -> dict[str, int]:
        """What was done so far."""
        for stranger in self._strangers:
            with contextlib.suppress(BlockingIOError):
                stranger.recv(1)
                self._strangers_answered += 1
        return {
            "sent": self._sent,
            "behind": self._behind,
            "strangers_answered": self._strangers_answered,
            "connections": sum(map(len, self._stalled.values())),
            **{method: self._methods[method] for method in METHODS},
        }

    def obey(self, command: str) -> dict[str, int]:
        """One command."""
        match command:
            case "begin":
                self._began = time.monotonic()
                return {}
            case "report":
                return self.report()
            case "end":
                report, self._began = self.report(), None
                for connections in self._stalled.values():
                    while connections:
                        connections.pop().close()
                return report
            case _:
                raise ValueError(f"the flooder knows no command '{command}'")


def _is_open(tcp: socket.socket) -> bool:
    """Whether nobody closed it; what was said on it is taken."""
    try:
        return bool(tcp.recv(SMALL_BUFFER))
    except BlockingIOError:
        return True
    except OSError:
        return False


def main() -> None:
    """Serve commands until standard input ends."""
    host, port, rate = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    flooder = Flooder(host, port, rate)
    print(json.dumps({"ready": True}), flush=True)
    due = time.monotonic()
    while True:
        due = max(due + TICK_SECONDS, time.monotonic() - TICK_SECONDS)
        wait = max(0.0, due - time.monotonic())
        if select.select([sys.stdin], [], [], wait)[0]:
            line = sys.stdin.readline()
            if not line:
                return
            print(json.dumps(flooder.obey(line.strip())), flush=True)
        flooder.tick(time.monotonic())


if __name__ == "__main__":
    main()
