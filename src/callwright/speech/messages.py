"""How the platform and its worker processes talk over pipes: two lengths, a JSON head, a body of bytes.

Nothing here can be made to run code (no pickle): a worker that was taken over by a hostile file may send anything.
"""

import json
import struct
from typing import BinaryIO, cast

Head = dict[str, str | int | float | bool]

LENGTHS = struct.Struct(">II")
MOST_HEAD_BYTES = 4_096
MOST_BODY_BYTES = 20_000_000
"""Ten minutes at 16 kHz and 16 bits are 19.2 MB; a file to decode is at most 5.2 MB."""


class BadMessage(ValueError):
    """Lengths over the limits, or a head that is not a JSON object."""


def serialize(head: Head, body: bytes = b"") -> bytes:
    """One message."""
    encoded = json.dumps(head).encode()
    if len(encoded) > MOST_HEAD_BYTES or len(body) > MOST_BODY_BYTES:
        raise BadMessage("message over its limits")
    return LENGTHS.pack(len(encoded), len(body)) + encoded + body


def parse_lengths(prefix: bytes) -> tuple[int, int]:
    """Lengths of head and body, within the limits."""
    head_bytes, body_bytes = LENGTHS.unpack(prefix)
    if head_bytes > MOST_HEAD_BYTES or body_bytes > MOST_BODY_BYTES:
        raise BadMessage("message over its limits")
    return head_bytes, body_bytes


def parse_head(encoded: bytes) -> Head:
    """The head's fields; values that are not plain are refused."""
    try:
        head = json.loads(encoded)
    except (ValueError, RecursionError) as error:
        raise BadMessage("head is not JSON") from error
    if not isinstance(head, dict) or not all(isinstance(value, str | int | float) for value in head.values()):
        raise BadMessage("head is not an object of plain values")
    return cast("Head", head)


def read(stream: BinaryIO) -> tuple[Head, bytes] | None:
    """The next message of a blocking stream, or None at its end."""
    prefix = stream.read(LENGTHS.size)
    if len(prefix) < LENGTHS.size:
        return None
    head_bytes, body_bytes = parse_lengths(prefix)
    return parse_head(stream.read(head_bytes)), stream.read(body_bytes)
