"""Reading typed fields out of a JSON object, with the words and paths the API uses for what is wrong (§3).

A `null` counts as a field that was not given, except where the field must be there. A number without a fraction counts
as an integer however it is written (`2.0`).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from types import NoneType

from callwright.contract.codes import entry_refusal
from callwright.errors import ContractError

LARGEST_INTEGER = 2**31 - 1
_KINDS = {
    dict: "object",
    list: "array",
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    NoneType: "null",
}


def kind(value: object) -> str:
    """What JSON calls the value's type."""
    return _KINDS[type(value)]


@dataclass(frozen=True, slots=True)
class Fields:
    """A JSON object and where it stands. Every method raises what `refuse` makes of the words for a wrong field."""

    values: dict[str, object]
    path: str
    "such as $.callflow[0].params"
    refuse: Callable[[str], ContractError] = entry_refusal

    def string(self, name: str, least: int = 0, most: int | None = None) -> str:
        """A field that must be there, `least` to `most` characters long; blanks alone do not fill a least length."""
        value = self._required(name)
        if type(value) is not str:
            raise self.wrong_kind(name, "string")
        if len(value) < least or (least and value.isspace()):
            raise self.wrong(name, f"must be at least {least} characters long")
        if most is not None and len(value) > most:
            raise self.wrong(name, f"may only be {most} characters long")
        return value

    def matching(self, name: str, pattern: re.Pattern[str], most: int) -> str:
        """A text that must be there and match `pattern` as a whole."""
        value = self.string(name, most=most)
        if not pattern.fullmatch(value):
            raise self.wrong(name, f"does not match the regex pattern {pattern.pattern}")
        return value

    def one_of(self, name: str, choices: tuple[str, ...]) -> str:
        """A text that must be there and be one of `choices`."""
        value = self.string(name)
        if value not in choices:
            raise self.wrong(name, f"does not have a value in the enumeration [{', '.join(choices)}]")
        return value

    def optional_string(self, name: str, most: int) -> str | None:
        """A text, or None."""
        return None if self.values.get(name) is None else self.string(name, most=most)

    def integer(self, name: str, least: int | None = None, most: int = LARGEST_INTEGER) -> int | None:
        """An integer, or None; without `least`, the sign and size are the caller's to judge."""
        value = self.values.get(name)
        if type(value) is float and value.is_integer():
            value = int(value)
        if value is None:
            return None
        if type(value) is not int:
            raise self.wrong_kind(name, "integer")
        if least is not None:
            self._within(name, value, least, most)
        return value

    def number(self, name: str, least: float, most: float) -> float | None:
        """A number, or None."""
        value = self.values.get(name)
        if value is None:
            return None
        if type(value) is not int and type(value) is not float:
            raise self.wrong_kind(name, "number")
        self._within(name, value, least, most)
        return float(value)

    def boolean(self, name: str) -> bool | None:
        """True, False or None."""
        value = self.values.get(name)
        if value is None or type(value) is bool:
            return value
        raise self.wrong_kind(name, "boolean")

    def wrong(self, name: str, words: str) -> ContractError:
        """The error that says `words` about the field."""
        return self.refuse(f"{self.path}.{name}: {words}")

    def missing(self, name: str) -> ContractError:
        """The error for a field that must be there."""
        return self.wrong(name, "is missing but it is required")

    def wrong_kind(self, name: str, expected: str) -> ContractError:
        """The error for a field of another type."""
        return self.wrong(name, f"{kind(self.values[name])} found, {expected} expected")

    def _required(self, name: str) -> object:
        if name not in self.values:
            raise self.missing(name)
        return self.values[name]

    def _within(self, name: str, value: float, least: float, most: float) -> None:
        if value < least:
            raise self.wrong(name, f"must have a minimum value of {least}")
        if value > most:
            raise self.wrong(name, f"must have a maximum value of {most}")
