"""Everything that may be wrong with one trunk, looked at in the order in which a call meets it."""

import asyncio
import secrets
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from callwright.doctor import judge, secure
from callwright.doctor.caller import KEYS, Called, DoctorsLine, quiet
from callwright.doctor.finding import Finding, Level
from callwright.doctor.judge import told
from callwright.errors import SipSyntaxError, TelephonyError
from callwright.settings import HostPort
from callwright.sip import stun
from callwright.sip.address import Via, host_port_text
from callwright.sip.outputs import Address, Replied
from callwright.sip.streams import TLS, UDP, StreamAddress, place_text, transport_of
from callwright.telemetry.clock import Clock
from callwright.telephony.line import TelephonySettings
from callwright.telephony.resolver import Resolver
from callwright.telephony.tls import reason_of
from callwright.telephony.trunk import Trunk, ip_literal

CONNECT_SECONDS = 5.0
REGISTER_SECONDS = 12.0
OPTIONS_SECONDS = 5.0
STUN_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be tried."""

    number: str = ""
    "to call; empty: no call is made"
    source: str = "+10000000"
    "that the call shows"
    tone_seconds: float = 2.0
    "how long each end speaks"


async def examine(trunk: Trunk, settings: TelephonySettings, wish: Wish, clock: Clock) -> AsyncIterator[Finding]:
    """Look at one trunk; each finding as soon as it is known. `settings` are those of the line, without its trunks."""
    own = quiet(replace(settings, trunks=(trunk,), tls=None))
    own, where = _free_port(own)
    yield Finding(trunk.name, "line", Level.OK, where)
    bound = judge_binding(trunk, own.sip_host)
    if bound is not None:
        yield told(trunk.name, "line", bound)
        return
    with tempfile.TemporaryDirectory(prefix="callwright-doctor-") as folder:
        line = DoctorsLine(own, clock, Path(folder), wish.tone_seconds)
        try:
            await line.telephony.start()
        except TelephonyError as error:
            yield Finding(trunk.name, "line", Level.FAILURE, f"{error}", "sip, rtp_ports, or the trunk's files")
            return
        try:
            async for finding in _with_line(trunk, own, wish, clock, line):
                yield finding
        finally:
            await line.telephony.stop()


async def _with_line(
    trunk: Trunk, settings: TelephonySettings, wish: Wish, clock: Clock, line: DoctorsLine
) -> AsyncIterator[Finding]:
    family = socket.AF_INET6 if ":" in settings.sip_host else socket.AF_INET
    try:
        addresses = await Resolver(family, clock, line.names).resolve(trunk)
    except TelephonyError as error:
        text = f"{error}{_asked(line)}"
        yield Finding(trunk.name, "names", Level.FAILURE, text, "the host of uri, or this machine's name servers")
        return
    found = ", ".join(map(place_text, addresses))
    yield Finding(trunk.name, "names", Level.OK, f"{trunk.host} leads to {found}{_asked(line)}")
    reachable = False
    for address in addresses:
        async for finding in _connection(trunk, address, clock):
            reachable = reachable or finding.level is not Level.FAILURE
            yield finding
    if not reachable:
        return
    server = trunk.stun or settings.stun
    if server is not None:
        async for finding in _stun(trunk, settings, server, line):
            yield finding
    is_seen = False
    async for finding in _options(trunk, line, addresses, is_called=bool(wish.number)):
        is_seen = is_seen or finding.check == "address"
        yield finding
    if trunk.register_seconds:
        yield await _registration(trunk, line)
    if not wish.number:
        mend = "--call NUMBER: an echo test's, or one of yours that the trunk sends back to us"
        yield Finding(trunk.name, "call", Level.NOTE, "no call was made", mend)
        return
    called = await line.call(wish.source, wish.number)
    for finding in judge_call(trunk, wish.number, called, addresses[0][0], asked_before=is_seen):
        yield finding


def judge_binding(trunk: Trunk, host: str) -> judge.Told | None:
    """A line on loopback reaches nobody outside."""
    target, bound = ip_literal(trunk.host), ip_literal(host)
    if bound is None or not bound.is_loopback or (target is not None and target.is_loopback):
        return None
    if target is None and trunk.host.lower() in ("localhost", "localhost."):
        return None
    if target is None:
        return None  # its address is not known yet, and /etc/hosts may lead it here
    text = f"SIP is bound to {host}, which reaches nobody but this machine"
    return (Level.FAILURE, text, 'sip (this machine\'s address towards the trunk, such as sip = "192.0.2.10:5060")')


def judge_call(trunk: Trunk, number: str, called: Called, trunk_host: str, *, asked_before: bool) -> list[Finding]:
    """What one call showed. `asked_before`: OPTIONS told already where the trunk sees us."""
    findings: list[Finding] = []

    def add(check: str, words: judge.Told | None) -> None:
        if words is not None:
            findings.append(told(trunk.name, check, words))

    if called.via is not None and not asked_before:
        add("address", judge.judge_via(called.via, latches=trunk.symmetric_rtp))
    add("sound", judge.judge_our_media(called.local_media, trunk_host))
    if called.ours is None:
        add("call", judge.judge_refusal(trunk, called.status, called.reason, number))
        return findings
    add("call", (Level.OK, f"the call to {number} was answered, with {called.codec}", ""))
    remote = called.remote_media.rpartition(":")[0].strip("[]")
    add("sound", judge.judge_their_media(remote, trunk_host, symmetric=trunk.symmetric_rtp))
    if called.theirs is not None:
        for words in judge.judge_loop(called.ours, called.theirs):
            add("sound", words)
        noticed = called.theirs.keys
    else:
        for words in judge.judge_echo(called.ours):
            add("sound", words)
        noticed = called.ours.keys
    add("keys", judge.judge_keys(KEYS, noticed, has_events=called.has_events))
    return findings


def _free_port(settings: TelephonySettings) -> tuple[TelephonySettings, str]:
    """The configured port when it is free, else another one; and where that is, in words."""
    with suppress(OSError), socket.socket(socket.AF_INET6 if ":" in settings.sip_host else socket.AF_INET) as tcp:
        kind = socket.SOCK_DGRAM
        with socket.socket(tcp.family, kind) as udp:
            udp.bind((settings.sip_host, settings.sip_port))
            tcp.bind((settings.sip_host, settings.sip_port))
            if not settings.sip_port:
                return settings, f"asked from a free port of {settings.sip_host}"
            return settings, f"asked from {host_port_text(settings.sip_host, settings.sip_port)}"
    place = host_port_text(settings.sip_host, settings.sip_port)
    return replace(settings, sip_port=0), f"{place} is taken (by the running server, probably): asked from another port"


def _asked(line: DoctorsLine) -> str:
    return f" ({'; '.join(dict.fromkeys(line.names.told))})" if line.names.told else ""


async def _connection(trunk: Trunk, address: Address, clock: Clock) -> AsyncIterator[Finding]:
    """Whether the address takes connections; datagrams are only known by what they are answered."""
    place = place_text(address)
    if transport_of(address) == UDP:
        yield Finding(trunk.name, "connection", Level.OK, f"{place} is asked by datagrams")
        return
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(*address)
        writer.close()
    except OSError as error:
        text = f"no connection to {place}: {reason_of(error)}"
        yield Finding(trunk.name, "connection", Level.FAILURE, text, "uri (host, port, transport), or a firewall")
        return
    if not isinstance(address, StreamAddress) or address.transport != TLS:
        yield Finding(trunk.name, "connection", Level.OK, f"{place} takes connections")
        return
    name = address.server_name or address[0]
    try:
        certificate = await secure.look(trunk, *address, name, clock())
    except OSError as error:
        text = f"{place} takes connections, and no TLS: {reason_of(error)}"
        yield Finding(trunk.name, "connection", Level.FAILURE, text, "uri (;transport=tcp, or the port), certificate")
        return
    words = judge.judge_certificate(certificate.days_left, certificate.names, certificate.problem, name)
    yield told(trunk.name, "certificate", words)


async def _stun(
    trunk: Trunk, settings: TelephonySettings, server: HostPort, line: DoctorsLine
) -> AsyncIterator[Finding]:
    try:
        mapped = await line.telephony.seen_from_outside(server)
    except TelephonyError as error:
        yield Finding(trunk.name, "address", Level.FAILURE, str(error), "stun, or advertise instead")
        return
    seen = host_port_text(mapped.host, mapped.port)
    yield Finding(trunk.name, "address", Level.OK, f"the STUN server {server} sees our SIP at {seen}")
    if ip_literal(server.host) is None:
        return
    port, media = await asyncio.to_thread(_media_mapping, settings, server)
    if media is None:
        yield Finding(trunk.name, "address", Level.WARNING, "no RTP port was answered by the STUN server", "rtp_ports")
    elif media.port != port or media.host != mapped.host:
        text = f"a NAT makes {host_port_text(media.host, media.port)} of our RTP port {port}"
        mend = "forward rtp_ports unchanged; or a trunk that sends sound to where it comes from"
        yield Finding(trunk.name, "sound", Level.WARNING, text, mend)
    else:
        yield Finding(trunk.name, "sound", Level.OK, f"our RTP port {port} is the same from outside")


def _media_mapping(settings: TelephonySettings, server: HostPort) -> tuple[int, stun.Mapped | None]:
    """One of our RTP ports, and how the server sees it; None when it does not answer."""
    family = socket.AF_INET6 if ":" in settings.sip_host else socket.AF_INET
    for port in settings.rtp_ports[:: max(1, len(settings.rtp_ports) // 16)]:
        with socket.socket(family, socket.SOCK_DGRAM) as udp:
            try:
                udp.bind((settings.rtp_host or settings.sip_host, port))
            except OSError:
                continue
            udp.settimeout(STUN_SECONDS)
            identity = secrets.token_bytes(stun.ID_BYTES)
            with suppress(OSError, SipSyntaxError):
                udp.sendto(stun.serialize_request(identity), (server.host, server.port))
                return port, stun.parse_response(udp.recv(2048), identity)
            return port, None
    return 0, None


async def _options(
    trunk: Trunk, line: DoctorsLine, addresses: tuple[Address, ...], *, is_called: bool
) -> AsyncIterator[Finding]:
    """Some trunks answer calls and no OPTIONS: when a call follows, that one decides."""
    try:
        async with asyncio.timeout(OPTIONS_SECONDS):
            replies = await line.telephony.ask_trunk(trunk.name)
    except TimeoutError:
        text = f"OPTIONS was not answered within {OPTIONS_SECONDS:g} s"
        mend = "uri (port and transport), or a firewall between us that drops SIP"
        yield Finding(trunk.name, "options", Level.WARNING if is_called else Level.FAILURE, text, mend)
        return
    except TelephonyError as error:
        yield Finding(trunk.name, "options", Level.FAILURE, str(error), "uri")
        return
    for address, reply in replies:
        words = judge.judge_status(trunk, "OPTIONS", reply.status, reply.reason, locally=reply.locally_generated)
        where = f"{place_text(address)}: " if len(addresses) > 1 else ""
        yield told(trunk.name, "options", (words[0], where + words[1], words[2]))
        via = _via_of(reply)
        if via is not None:
            yield told(trunk.name, "address", judge.judge_via(via, latches=trunk.symmetric_rtp))


def _via_of(reply: Replied) -> Via | None:
    values = [] if reply.headers is None else reply.headers.values("Via")
    try:
        return Via.parse(values[0]) if values else None
    except SipSyntaxError:
        return None


async def _registration(trunk: Trunk, line: DoctorsLine) -> Finding:
    with suppress(TimeoutError):
        async with asyncio.timeout(REGISTER_SECONDS):
            while not line.telephony.trunk_reports()[0].registration:  # noqa: ASYNC110  nobody tells of it
                await asyncio.sleep(0.05)
    report = line.telephony.trunk_reports()[0]
    if report.is_registered:
        return Finding(trunk.name, "registration", Level.OK, f"the registrar knows us: {report.registration}")
    status, _, reason = report.registration.partition(" ")
    locally = not report.registration or (status in ("408", "503") and reason in ("no response", ""))
    words = judge.judge_status(trunk, "REGISTER", int(status or 408), reason, locally=locally)
    return told(trunk.name, "registration", words)
