"""JSON as the wire has it: strict reading (RFC 8259) within limits, compact writing.

Stricter than Python's reader: UTF-8 only (a byte order mark is skipped, as RFC 8259 §8.1 allows), no NaN or Infinity,
no object with the same name twice (readers disagree about which one counts), no lone surrogates, at most 16 levels
deep.
"""

import json
import re
from typing import NoReturn

from callwright.contract.codes import STATUS_MESSAGES, StatusCode, refusal
from callwright.errors import ContractError

MOST_BYTES = 256 * 1024
MOST_DEPTH = 16

# A closing quote may be missing: reading on to the end keeps the search linear for any input.
_STRINGS_AND_BRACKETS = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[\[{\]}]', re.DOTALL)


def parse_json(body: bytes) -> object:
    """The value in `body`, made of dict, list, str, int, float, bool and None.

    Raises ContractError -1001: with HTTP 413 for more than 256 KiB, with 400 for everything else.
    """
    if len(body) > MOST_BYTES:
        raise ContractError(int(StatusCode.INVALID_JSON), 413, STATUS_MESSAGES[StatusCode.INVALID_JSON])
    if _deeper_than(body, MOST_DEPTH):
        raise refusal(StatusCode.INVALID_JSON)
    try:
        value: object = _DECODER.decode(body.decode("utf-8").removeprefix("\ufeff"))
        if b"\\u" in body:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except ValueError:  # not UTF-8, not JSON, a number of thousands of digits, a name twice, a lone surrogate
        raise refusal(StatusCode.INVALID_JSON) from None
    return value


def serialize(value: object) -> bytes:
    """`value` as compact UTF-8 JSON, fields in the order given."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8")


def _deeper_than(body: bytes, most: int) -> bool:
    if body.count(b"[") + body.count(b"{") <= most:
        return False
    depth = 0
    for found in _STRINGS_AND_BRACKETS.finditer(body):
        match body[found.start()]:
            case 0x5B | 0x7B:
                depth += 1
                if depth > most:
                    return True
            case 0x5D | 0x7D:
                depth -= 1
    return False


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return values


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_no_constant)
