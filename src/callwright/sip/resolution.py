"""Where a SIP server is (RFC 3263 §4): which questions to ask the name system, and what the answers come to.

`locate` is a generator: it yields one `Question`, is sent the records that answer it (none when there are none), and
returns the places to try, best first. Nobody waits or looks anything up here.
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

from callwright.sip.address import is_ipv6
from callwright.sip.dialog import is_ip_address
from callwright.sip.streams import DEFAULT_PORTS, TCP, TLS, UDP

MOST_RECORDS = 32
"""Of one answer, and places in all: more help nobody, and a call waits."""
_SERVICES = {"SIP+D2U": UDP, "SIP+D2T": TCP, "SIPS+D2T": TLS}
_SRV_NAMES = {UDP: "_sip._udp.", TCP: "_sip._tcp.", TLS: "_sips._tcp."}


@dataclass(frozen=True, slots=True)
class Question:
    """One question to the name system."""

    kind: str
    "`NAPTR`, `SRV` or `ADDRESS` (A or AAAA, whichever our sockets speak)"
    name: str


@dataclass(frozen=True, slots=True)
class Naptr:
    """RFC 3403 §4.1; only records with the flag `s` lead to SIP servers."""

    order: int
    preference: int
    flags: str
    service: str
    replacement: str


@dataclass(frozen=True, slots=True)
class Srv:
    """RFC 2782."""

    priority: int
    weight: int
    port: int
    target: str


Answers = Sequence[Naptr | Srv | str]
"""Records; for ADDRESS the IP addresses in text."""


@dataclass(frozen=True, slots=True)
class Place:
    """One address to try."""

    host: str
    "an IP address"
    port: int
    transport: str


Search = Generator[Question, Answers, list[Place]]


def locate(host: str, port: int | None, transport: str, speaks: Sequence[str], draw: Callable[[], float]) -> Search:
    """Find the server behind a SIP URI's host, port and transport (empty: not named).

    `speaks` are the transports that we have, the preferred one first; `draw` gives a random number from 0 to 1 for
    SRV weights.
    """
    if is_ip_address(host) or is_ipv6(host):
        chosen = transport or UDP
        return [Place(host, port or DEFAULT_PORTS[chosen], chosen)]
    name = host.rstrip(".").lower()
    if port is not None:
        # "If the URI specifies a port, the client performs an A or AAAA record lookup of the domain name."
        return (yield from _addresses(name, port, transport or UDP))
    if "." in name:  # a name of this machine or network has no records but addresses
        services = [(transport, _SRV_NAMES[transport] + name)] if transport else (yield from _services(name, speaks))
        for chosen, service in services:
            places = yield from _servers(service, chosen, draw)
            if places is not None:
                return places
    # "If no SRV records were found, the client performs an A or AAAA record lookup of the domain name."
    chosen = transport or UDP
    return (yield from _addresses(name, DEFAULT_PORTS[chosen], chosen))


def _services(name: str, speaks: Sequence[str]) -> Generator[Question, Answers, list[tuple[str, str]]]:
    """(transport, SRV name) in the order in which the domain wants them; ours when it has no NAPTR records."""
    answers = yield Question("NAPTR", name)
    records = [record for record in answers if isinstance(record, Naptr)][:MOST_RECORDS]
    known = [
        (record.order, record.preference, _SERVICES[record.service.upper()], record.replacement.rstrip(".").lower())
        for record in records
        if record.flags.lower() == "s" and record.service.upper() in _SERVICES
    ]
    wanted = [(transport, target) for _, _, transport, target in sorted(known) if transport in speaks and target]
    # "If no NAPTR records are found, the client constructs SRV queries for those transport protocols it supports".
    return wanted or [(transport, _SRV_NAMES[transport] + name) for transport in speaks]


def _servers(
    service: str, transport: str, draw: Callable[[], float]
) -> Generator[Question, Answers, list[Place] | None]:
    """The places that SRV records name; None when there are no such records."""
    answers = yield Question("SRV", service)
    records = [record for record in answers if isinstance(record, Srv)][:MOST_RECORDS]
    if not records:
        return None
    places: list[Place] = []
    for record in in_order(records, draw):
        if record.target in ("", "."):  # RFC 2782: "the service is decidedly not available at this domain"
            continue
        places += yield from _addresses(record.target.rstrip(".").lower(), record.port, transport)
    return list(dict.fromkeys(places))[:MOST_RECORDS]


def _addresses(name: str, port: int, transport: str) -> Generator[Question, Answers, list[Place]]:
    answers = yield Question("ADDRESS", name)
    return [Place(address, port, transport) for address in answers if isinstance(address, str)][:MOST_RECORDS]


def in_order(records: Sequence[Srv], draw: Callable[[], float]) -> list[Srv]:
    """Lowest priority first; within one priority drawn by weight, those of weight 0 last (RFC 2782)."""
    ordered: list[Srv] = []
    for priority in sorted({record.priority for record in records}):
        left = sorted((record for record in records if record.priority == priority), key=lambda record: record.weight)
        while left:
            mark = draw() * sum(record.weight for record in left)
            chosen = left[-1]
            for record in left:
                mark -= record.weight
                if mark < 0:
                    chosen = record
                    break
            left.remove(chosen)
            ordered.append(chosen)
    return ordered
