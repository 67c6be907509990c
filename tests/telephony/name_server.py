"""A small DNS server on loopback, over UDP and TCP, that says what a test wants, bad days included."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import dns.asyncresolver
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from callwright.sip.resolution import Answers, Question
from callwright.telephony.resolver import SystemNames

PAUSE_SECONDS = 0.05


class NameServer:
    """`records["example.com", "A"]` are texts as in a zone file; TTL 30."""

    def __init__(self) -> None:
        self.records: dict[tuple[str, str], list[str]] = {}
        self.fails: set[str] = set()
        "names that are answered SERVFAIL"
        self.silent = False
        "nothing is answered"
        self.truncates = False
        "datagrams hold nothing but that more is to be had over TCP"
        self.asked: list[str] = []
        "`SRV _sip._udp.example.com`, with `TCP ` in front when it came so"
        self.port = 0

    def answer(self, data: bytes, *, over_tcp: bool) -> bytes | None:
        """The bytes of an answer; None when there is none."""
        query = dns.message.from_wire(data)
        (question,) = query.question
        name, kind = question.name.to_text(omit_final_dot=True).lower(), dns.rdatatype.to_text(question.rdtype)
        self.asked.append(f"{'TCP ' if over_tcp else ''}{kind} {name}")
        if self.silent:
            return None
        answer = dns.message.make_response(query)
        found = self.records.get((name, kind))
        if name in self.fails:
            answer.set_rcode(dns.rcode.SERVFAIL)
        elif self.truncates and not over_tcp:
            answer.flags |= dns.flags.TC
        elif found:
            answer.answer.append(dns.rrset.from_text_list(question.name, 30, "IN", kind, found))
        elif not any(known == name for known, _ in self.records):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        return answer.to_wire()

    @asynccontextmanager
    async def running(self) -> AsyncIterator["NameServer"]:
        """Listen on one port of 127.0.0.1, by both transports."""
        loop = asyncio.get_running_loop()
        while True:
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            udp.bind(("127.0.0.1", 0))
            udp.setblocking(False)  # noqa: FBT003  positional only
            try:
                server = await asyncio.start_server(self._converse, "127.0.0.1", udp.getsockname()[1])
            except OSError:
                udp.close()
                continue
            break
        self.port = udp.getsockname()[1]

        def read() -> None:
            data, source = udp.recvfrom(65_535)
            answer = self.answer(data, over_tcp=False)
            if answer is not None:
                udp.sendto(answer, source)

        loop.add_reader(udp, read)
        try:
            yield self
        finally:
            loop.remove_reader(udp)
            udp.close()
            server.close()
            await server.wait_closed()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            (length,) = struct.unpack("!H", await reader.readexactly(2))
            answer = self.answer(await reader.readexactly(length), over_tcp=True)
            if answer is not None:
                writer.write(struct.pack("!H", len(answer)) + answer)
                await writer.drain()
        writer.close()


class NamesOf(SystemNames):
    """The product's name system, asking this server for addresses too, because the machine's own does not know it."""

    def __init__(self, server: NameServer) -> None:
        self._addresses = dns.asyncresolver.Resolver(configure=False)
        self._addresses.nameservers = ["127.0.0.1"]
        self._addresses.port = server.port
        super().__init__(self._addresses)

    async def ask(self, question: Question, family: socket.AddressFamily) -> Answers:
        """As the product does; addresses by A and AAAA, and OSError when there are none."""
        if question.kind != "ADDRESS":
            return await super().ask(question, family)
        kind = "AAAA" if family is socket.AF_INET6 else "A"
        try:
            answer = await self._addresses.resolve(question.name, kind, lifetime=1.5)
        except dns.exception.DNSException as error:
            raise socket.gaierror(socket.EAI_NONAME, str(error)) from error
        return [cast("Any", record).address for record in answer]
