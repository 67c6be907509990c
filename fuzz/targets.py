"""Who reads what strangers send. A target takes bytes; what it raises is a bug: documented refusals it takes itself.

It returns whether the input was taken for sound, so that a run can tell whether its inputs reach what lies behind the
first check.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from callwright.errors import DigestError, RtpError, SdpError, SipSyntaxError
from callwright.rtp import packet, rtcp, telephone_event
from callwright.rtp.jitter import LEAST_SECONDS, MOST_SECONDS, MOST_WAITING, Due, JitterBuffer
from callwright.rtp.packet import RtpPacket
from callwright.rtp.srtp import LARGEST_PACKET, MASTER_BYTES, Opener, Refused, Sealer
from callwright.rtp.statistics import ReceiverStatistics
from callwright.sip import crypto, sdp, stun
from callwright.sip.address import CSeq, NameAddr, SipUri, Via
from callwright.sip.digest import (
    Challenge,
    authorization,
    check_nonce,
    parse_authorization,
    parse_challenges,
    strongest,
    verify,
)
from callwright.sip.framing import Framer
from callwright.sip.message import Message, Response
from callwright.sip.negotiation import make_answer, make_offer, read_answer
from callwright.sip.parse import MOST_MESSAGE_BYTES, BrokenRequest, parse, serialize
from callwright.sip.validation import refusal, validate_request, validate_response
from fuzz import seeds
from fuzz.mutation import BINARY_SPICE, TEXT_SPICE
from fuzz.talk import TALK, listen_in

METHODS: Final = ("INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "REGISTER")
PASSWORD: Final = "a password that must not be seen"  # noqa: S105 of nobody
OURS: Final = make_offer("192.0.2.7", 4000, session_id=1, version=1)
OUR_CHALLENGE: Final = Challenge("sip.example.com", "84a4cc6f", "SHA-256", ("auth",))


def read_message(data: bytes) -> bool:
    """A SIP message: shape, validity, every header by every reader; what was read survives the wire."""
    _judge(data)
    try:
        message = parse(data)
    except SipSyntaxError:
        return False
    _read_headers(message)
    for value in (*message.headers.all("WWW-Authenticate"), *message.headers.all("Authorization")):
        read_digest(value.encode("utf-8", "surrogateescape"))
    read_description(message.body)
    again = parse(serialize(message))
    assert again.body == message.body
    assert len(again.headers.all("Via")) == len(message.headers.all("Via"))
    return True


def _judge(data: bytes) -> None:
    try:
        message = parse(data)
        if isinstance(message, Response):
            validate_response(message)
        else:
            validate_request(message)
            refusal(message, METHODS)
    except BrokenRequest as error:
        refused_with = error.status
    except SipSyntaxError:
        return
    else:
        return
    assert 400 <= refused_with < 600


def _read_headers(message: Message) -> None:
    readers: Sequence[Callable[[str], object]] = (SipUri.parse, NameAddr.parse, Via.parse, CSeq.parse)
    for name, value in message.headers:
        for read, text in ((message.headers.values, name), *((reader, value) for reader in readers)):
            try:
                read(text)
            except SipSyntaxError:
                continue


def read_stream(data: bytes) -> bool:
    """The bytes of a connection, in pieces: framed alike however they are cut, and never more kept than one message."""
    whole, piecemeal = Framer(), Framer()
    at_once = whole.receive(data)
    pieces = [piecemeal.receive(data[at : at + 97]) for at in range(0, len(data), 97)]
    assert at_once.messages == tuple(message for piece in pieces for message in piece.messages)
    assert piecemeal.buffered <= MOST_MESSAGE_BYTES + 97
    return not whole.fault


def read_description(data: bytes) -> bool:
    """A session description, as an offer and as an answer."""
    try:
        description = sdp.parse(data)
    except SdpError:
        return False
    try:
        answer, _ = make_answer(description, "192.0.2.7", 4000, session_id=1, version=1)
        assert sdp.parse(sdp.serialize(answer)) == answer
    except SdpError:
        return False
    try:
        read_answer(OURS, description)
    except SdpError:
        return False
    return True


def read_digest(data: bytes) -> bool:
    """A challenge that we may answer, or an answer to ours; the password is never told."""
    text = data.decode("utf-8", "surrogateescape")
    try:
        challenge = strongest(parse_challenges([text]))
        proof = authorization(challenge, "user", PASSWORD, "INVITE", "sip:a@example.com", b"", "c0ffee", 1)
        assert PASSWORD not in proof
    except DigestError:
        answered = False
    else:
        answered = True
    try:
        given = parse_authorization(text)
    except DigestError:
        return answered
    assert not verify(given, OUR_CHALLENGE, PASSWORD, "INVITE", b"")
    check_nonce(given.nonce, b"secret", 1_000.0, 60.0)
    return True


def read_rtp(data: bytes) -> bool:
    """An RTP packet, and what is counted of it; what was read survives the wire."""
    try:
        one = packet.parse(data)
    except RtpError:
        return False
    assert packet.parse(packet.serialize(one)) == one
    statistics = ReceiverStatistics(8000)
    for sequence in (one.sequence, (one.sequence + 40_000) & 0xFFFF):
        statistics.receive(sequence, one.timestamp, 1.0)
    assert 0.0 <= statistics.loss_rate <= 1.0
    return True


def read_rtcp(data: bytes) -> bool:
    """A compound of reports; what was read survives the wire."""
    try:
        packets = rtcp.parse(data)
    except RtpError:
        return False
    if packets:
        assert rtcp.parse(rtcp.serialize(packets)) == packets
    return True


def read_events(data: bytes) -> bool:
    """A series of telephone-event packets: five bytes each, how far the timestamp goes on and the payload."""
    receiver = telephone_event.DigitReceiver()
    timestamp, keys, refused = 0xFFFF_F000, 0, 0
    for at in range(0, len(data), 5):
        timestamp = (timestamp + 160 * (data[at] - 4)) & 0xFFFF_FFFF
        try:
            key = receiver.receive(timestamp, data[at + 1 : at + 5], marker=data[at] == 0)
        except RtpError:
            refused += 1
            continue
        assert key is None or key in telephone_event.DIGITS
        keys += key is not None
    assert keys <= len(data) / 5 + 1
    return not refused


def read_stun(data: bytes) -> bool:
    """What a STUN server may answer, or somebody in its name."""
    if not stun.is_stun(data):
        return False
    stun.is_request(data)
    try:
        stun.parse_response(data, stun.transaction_id(data))
    except SipSyntaxError:
        return False
    return True


def read_crypto(data: bytes) -> bool:
    """What stands behind `a=crypto:`, line by line; what was read survives its line, opens packets, is in no repr."""
    texts = data.decode("utf-8", "surrogateescape").split("\n")
    usable = crypto.lines([("crypto", text) for text in texts] + [("crypto", None), ("ptime", texts[0])])
    assert usable == [one for one in map(crypto.parse, texts) if one is not None]
    for one in usable:
        assert crypto.parse(str(one)) == one
        assert str(one).partition("inline:")[2] not in repr(one)
        assert isinstance(Opener(one.suite, one.key).rtp(data), Refused)
    return bool(usable)


def read_jitter(data: bytes) -> bool:
    """Packets as they may come, eight bytes each: how long after the one before, how far number and timestamp go on,
    how much sound, whose, and whether somebody takes what is due. Each packet leaves once, and nothing piles up."""
    buffer = JitterBuffer(8_000)
    now, sequence, timestamp, received = 0.0, 65_500, 0xFFFF_FF00, 0
    out: list[Due] = []
    for at in range(0, len(data) - 7, 8):
        step = data[at : at + 8]
        now += step[0] / 1_000
        sequence = (sequence + int.from_bytes(step[1:3], "big", signed=True)) & 0xFFFF
        timestamp = (timestamp + 160 * int.from_bytes(step[3:5], "big", signed=True)) & 0xFFFF_FFFF
        came = RtpPacket(0, sequence, timestamp, step[6] & 3, b"")
        out += buffer.receive(came, 160 * (step[5] % 4), now)
        received += 1
        if step[7] & 1:
            out += buffer.take(now)
        assert len(buffer) <= MOST_WAITING
        assert LEAST_SECONDS <= buffer.delay_seconds <= MOST_SECONDS
    out += buffer.flush()
    assert not len(buffer)
    assert all(due.ticks >= 0 and due.pause_ticks >= 0 for due in out)
    handed_out = [id(due.packet) for due in out if due.packet is not None]
    assert len(handed_out) == len(set(handed_out)) == received - buffer.late
    assert buffer.lost <= received * 64, "numbers that were skipped are not counted one by one for ever"
    return not buffer.late and not buffer.lost


def read_sealed(data: bytes) -> bool:
    """A packet from the network where sealed ones are expected; and, sealed by the peer itself, whatever it holds."""
    suite = sorted(MASTER_BYTES)[len(data) % len(MASTER_BYTES)]
    key = bytes(range(MASTER_BYTES[suite]))
    opener, sealer = Opener(suite, key), Sealer(suite, key)
    assert isinstance(opener.rtp(data), Refused)
    assert isinstance(opener.rtcp(data), Refused)
    sound = False
    ways = ((sealer.rtp, opener.rtp, read_rtp), (sealer.rtcp, opener.rtcp, read_rtcp))
    for seal, open_, read in ways:
        try:
            sealed = seal(data)
        except RtpError:
            continue
        if len(sealed) > LARGEST_PACKET:
            assert open_(sealed) is Refused.MALFORMED
            continue
        wound = len(data) - 1 if data else 0
        assert isinstance(open_(sealed[:wound] + bytes((sealed[wound] ^ 1,)) + sealed[wound + 1 :]), Refused)
        opened = open_(sealed)
        if opened != data:
            assert isinstance(opened, Refused)
            continue
        assert open_(sealed) is Refused.REPLAYED
        sound = read(data) or sound
    return sound


@dataclass(frozen=True, slots=True)
class Target:
    """One reader, what it is fed, and its share of the inputs of one run."""

    name: str
    read: Callable[[bytes], bool]
    seeds: Sequence[bytes]
    spice: Sequence[bytes]
    share: float


TARGETS: Final = (
    Target("sip", read_message, seeds.MESSAGES, TEXT_SPICE, 0.16),
    Target("stream", read_stream, seeds.STREAMS, TEXT_SPICE, 0.05),
    Target("talk", listen_in, TALK, TEXT_SPICE, 0.08),
    Target("sdp", read_description, seeds.DESCRIPTIONS, TEXT_SPICE, 0.15),
    Target("digest", read_digest, seeds.CHALLENGES, TEXT_SPICE, 0.12),
    Target("crypto", read_crypto, seeds.KEYS, TEXT_SPICE, 0.04),
    Target("rtp", read_rtp, seeds.PACKETS, BINARY_SPICE, 0.16),
    Target("jitter", read_jitter, seeds.ARRIVALS, BINARY_SPICE, 0.03),
    Target("srtp", read_sealed, seeds.UNSEALED, BINARY_SPICE, 0.05),
    Target("rtcp", read_rtcp, seeds.REPORTS, BINARY_SPICE, 0.08),
    Target("events", read_events, seeds.EVENTS, BINARY_SPICE, 0.04),
    Target("stun", read_stun, seeds.STUN_ANSWERS, BINARY_SPICE, 0.04),
)
