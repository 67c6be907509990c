"""One-time passwords: made of random bytes that are handed in, spoken sign by sign, compared (§11.5).

`codeLength` counts the dash of NUMERIC_WITH_DASH, so that no code is longer than the ten characters a check may hold;
a code of three has none. The dash stands in the middle, or one place left of it: 231-461, 234-3294.

Nobody can hear upper and lower case, so a check ignores it, and dashes and spaces too.
"""

import hmac
import re
import string
from enum import StrEnum

SHORTEST_CODE = 3
LONGEST_CODE = 10
RANDOM_BYTES = 24
"""How many `make_code` wants: enough that no sign is likelier than another by more than 2⁻¹²⁸."""

_PLACEHOLDER = re.compile(r"\{(code|brand)\}")


class CodeType(StrEnum):
    """`codeType`."""

    NUMERIC = "NUMERIC"
    NUMERIC_WITH_DASH = "NUMERIC_WITH_DASH"
    ALPHANUMERIC = "ALPHANUMERIC"
    ALPHANUMERIC_CAPITALS = "ALPHANUMERIC_CAPITALS"
    ALPHANUMERIC_EASY = "ALPHANUMERIC_EASY"
    "capitals and digits without I, O, Q, S and Z"


_SIGNS = {
    CodeType.NUMERIC: string.digits,
    CodeType.NUMERIC_WITH_DASH: string.digits,
    CodeType.ALPHANUMERIC: string.ascii_letters + string.digits,
    CodeType.ALPHANUMERIC_CAPITALS: string.ascii_uppercase + string.digits,
    CodeType.ALPHANUMERIC_EASY: "".join(sign for sign in string.ascii_uppercase if sign not in "IOQSZ") + string.digits,
}


def make_code(code_type: CodeType, length: int, random_bytes: bytes) -> str:
    """A code of `length` characters. The same bytes make the same code; they must come from a source nobody can guess.

    ValueError for a length outside 3 to 10 or fewer than `RANDOM_BYTES` bytes.
    """
    if not SHORTEST_CODE <= length <= LONGEST_CODE:
        raise ValueError(f"a code has {SHORTEST_CODE} to {LONGEST_CODE} characters, not {length}")
    if len(random_bytes) < RANDOM_BYTES:
        raise ValueError(f"a code wants {RANDOM_BYTES} random bytes, not {len(random_bytes)}")
    dashed = code_type is CodeType.NUMERIC_WITH_DASH and length > SHORTEST_CODE
    signs, rest = _SIGNS[code_type], int.from_bytes(random_bytes, "big")
    made = ""
    for _ in range(length - dashed):
        rest, place = divmod(rest, len(signs))
        made += signs[place]
    middle = len(made) // 2
    return f"{made[:middle]}-{made[middle:]}" if dashed else made


def spoken_text(template: str, code: str, brand: str = "") -> str:
    """What the callee hears: the template with its placeholders filled, each sign of the code by itself.

    Commas part the signs, a full stop stands for the dash: voices pause there. A brand that looks like a placeholder
    stays as it is.
    """
    spoken = ". ".join(", ".join(group) for group in code.split("-"))
    return _PLACEHOLDER.sub(lambda found: spoken if found[1] == "code" else brand, template)


def codes_match(code: str, given: str) -> bool:
    """Whether `given` is the code, compared in a time that tells nothing about it."""
    return hmac.compare_digest(_plain(code), _plain(given))


def _plain(text: str) -> bytes:
    return re.sub(r"[\s-]", "", text).upper().encode("utf-8", "surrogatepass")
