"""Bencode, which rtpengine's control protocol (ng) speaks: strings, whole numbers, lists and dictionaries."""

from typing import Any


class NotBencode(ValueError):
    """These bytes are no bencode."""


def serialize(value: str | list[Any] | dict[str, Any]) -> bytes:
    """Text, lists of it, and dictionaries of both."""
    if isinstance(value, str):
        data = value.encode()
        return b"%d:%s" % (len(data), data)
    if isinstance(value, list):
        return b"l%se" % b"".join(serialize(item) for item in value)
    return b"d%se" % b"".join(serialize(key) + serialize(value[key]) for key in sorted(value))


def parse(data: bytes) -> Any:
    """One value; strings come as text. NotBencode when it is not one, or when something follows it."""
    try:
        value, end = _value(data, 0)
    except (ValueError, IndexError) as error:
        raise NotBencode(f"no bencode: {data[:80]!r}") from error
    if end != len(data):
        raise NotBencode(f"something follows the value: {data[end : end + 80]!r}")
    return value


def _value(data: bytes, at: int) -> tuple[Any, int]:
    match data[at : at + 1]:
        case b"i":
            end = data.index(b"e", at)
            return int(data[at + 1 : end]), end + 1
        case b"l" | b"d" as kind:
            items, at = [], at + 1
            while data[at : at + 1] != b"e":
                item, at = _value(data, at)
                items.append(item)
            value = items if kind == b"l" else dict(zip(items[::2], items[1::2], strict=True))
            return value, at + 1
        case _:
            colon = data.index(b":", at)
            end = colon + 1 + int(data[at:colon])
            if not colon < end <= len(data):
                raise ValueError("cut short")
            return data[colon + 1 : end].decode(), end
