"""Messages cut out of a stream, however it is chopped."""

from random import Random

import pytest

from callwright.sip.framing import MOST_HEAD_BYTES, PING, Framer
from callwright.sip.parse import MOST_MESSAGE_BYTES


def message(body: bytes = b"", length: str | None = None) -> bytes:
    length = str(len(body)) if length is None else length
    return f"OPTIONS sip:a@example.com SIP/2.0\r\nCall-ID: x\r\nContent-Length: {length}\r\n\r\n".encode() + body


def test_messages_come_out_whole_however_the_stream_is_chopped() -> None:
    wanted = [message(), message(b"v=0\r\n\r\no=x"), message(b"\r\n\r\n"), message(b"x" * 5000)]
    stream = b"\r\n".join(wanted)
    for seed in range(100):
        found: list[bytes] = []
        random, framer, at = Random(seed), Framer(), 0
        while at < len(stream):
            size = random.choice((1, 2, 3, 50, 700))
            found += framer.receive(stream[at : at + size]).messages
            at += size
        assert found == wanted, seed
        assert (framer.buffered, framer.fault) == (0, "")


@pytest.mark.parametrize("head", [b"l: 3", b"Content-Length : 3", b"CONTENT-LENGTH:3", b"Content-Length:\r\n 3"])
def test_every_spelling_of_content_length_is_understood(head: bytes) -> None:
    data = b"OPTIONS sip:a SIP/2.0\r\n" + head + b"\r\nX: y\r\n\r\nabc"
    assert Framer().receive(data + b"OPT").messages == (data,)


def test_without_content_length_there_is_no_body() -> None:
    data = b"OPTIONS sip:a SIP/2.0\r\nX: y\r\n\r\n"
    assert Framer().receive(data + message()).messages == (data, message())


def test_pings_between_messages_are_counted_whatever_their_pieces() -> None:
    framer = Framer()
    assert framer.receive(PING + message() + PING + PING).pings == 3
    assert framer.receive(b"\r\n").pings == 0
    assert framer.receive(b"\r\n").pings == 1
    assert framer.receive(b"\r").pings == 0
    last = framer.receive(b"\n" + message())
    assert (last.pings, last.messages) == (0, (message(),))


@pytest.mark.parametrize("length", ["-1", "x", "", "99999999999999999999", str(MOST_MESSAGE_BYTES), "3\r\nl: 3"])
def test_a_length_that_cannot_be_followed_ends_the_stream_after_its_head(length: str) -> None:
    framer = Framer()
    framed = framer.receive(message(b"abc", length) + message())
    assert framed.messages == (message(b"", length),)
    assert "Content-Length" in framed.fault
    assert framer.receive(message()).messages == ()
    assert framer.buffered == 0


@pytest.mark.parametrize("garbage", [b"\x16\x03\x01\x02\x00", b"\n\n", b" x", b"\x80\x00" * 80])
def test_what_begins_no_message_ends_the_stream(garbage: bytes) -> None:
    assert Framer().receive(garbage).fault


def test_a_head_without_end_ends_the_stream_and_takes_no_memory() -> None:
    framer = Framer()
    for _ in range(3 * MOST_HEAD_BYTES // 1000):
        framer.receive(b"X" * 1000)
    assert framer.fault
    assert framer.buffered == 0


def test_random_bytes_never_break_the_framer() -> None:
    random = Random(1)
    for _ in range(3000):
        framer = Framer()
        data = bytearray(message(b"hello") * 2)
        for _ in range(random.randrange(6)):
            data[random.randrange(len(data))] = random.randrange(256)
        for at in range(0, len(data), 17):
            framer.receive(bytes(data[at : at + 17]))
        assert framer.buffered <= MOST_MESSAGE_BYTES
