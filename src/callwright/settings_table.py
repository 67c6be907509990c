"""How a table of the settings file is read: types checked, unknown keys refused, every complaint names its place."""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from callwright.errors import SettingsError

ANY = "*"
"In `caller_ids` and `destinations` as written: no restriction"

_SECRET = re.compile(r"[!-~]{1,4096}")


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """Text that must not be seen: printing it shows dots, only `reveal` gives it out."""

    _text: str

    def reveal(self) -> str:
        """The text itself; for the one place that needs it."""
        return self._text

    def __repr__(self) -> str:
        return "Secret('••••')"

    __str__ = __repr__


def refuse_unknown(names: Iterable[str], known: Iterable[str], what: str) -> None:
    """SettingsError for the first name that is not known, with the likely right one."""
    allowed = list(known)
    for name in names:
        if name not in allowed:
            hint = did_you_mean(name, allowed) or f". Known: {', '.join(allowed)}"
            raise SettingsError(f"unknown {what} '{name}'{hint}")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A question to put at the end of a sentence, or nothing."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f". Did you mean '{close[0]}'?" if close else ""


class Table:
    """A table of the file while it is read: checks types, names the place when something is wrong."""

    def __init__(self, table: Mapping[str, Any], name: str, file_name: str) -> None:
        self.place = f"{name} in {file_name}"
        self._table = table

    def error(self, key: str, what: str) -> SettingsError:
        """What to raise when the value of `key` is wrong; `what` says how and what to write instead."""
        return SettingsError(f"'{key}' of {self.place}: {what}")

    def allow(self, *keys: str) -> None:
        """Refuse every key but these."""
        refuse_unknown(self._table, keys, f"key of {self.place}")

    def text(self, key: str) -> str | None:
        """A text that is not blank; None when the key is absent."""
        value = self._table.get(key)
        if value is not None and (not isinstance(value, str) or not value.strip()):
            raise self.error(key, "it is not text. Write it between quotes")
        return value

    def truth(self, key: str) -> bool:
        """True or false; false when the key is absent."""
        value = self._table.get(key, False)
        if not isinstance(value, bool):
            raise self.error(key, "write true or false, without quotes")
        return value

    def texts(self, key: str) -> list[str] | None:
        """A list of texts; None when the key is absent."""
        value = self._table.get(key)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.error(key, 'it is not a list of texts. Write for example ["+6588000000"] or ["*"]')
        return value

    def numbers(self, key: str, form: re.Pattern[str], what: str) -> tuple[str, ...] | None:
        """Numbers or prefixes with `+`; `["*"]` stands alone; None when the key is absent."""
        written = self.texts(key)
        if written is None:
            return None
        if ANY in written:
            if len(written) > 1:
                raise self.error(key, '"*" allows everything, so it stands alone or not at all')
            return (ANY,)
        for number in written:
            if not form.fullmatch(number):
                raise self.error(key, f"'{number}' is not {what}")
        return tuple("+" + number.removeprefix("+") for number in written)

    def secret(self, key: str) -> Secret:
        """A key or password that must be there: visible ASCII without spaces. It is never quoted in an error."""
        value = self.text(key)
        if value is None:
            raise self.error(key, "it is missing. Write what the provider gave you, between quotes")
        if not _SECRET.fullmatch(value.strip()):
            raise self.error(key, "it is not 1 to 4096 visible ASCII characters without spaces")
        return Secret(value.strip())

    def named_texts(self, key: str) -> dict[str, str] | None:
        """A table of texts by name; None when the key is absent."""
        value = self._table.get(key)
        if value is None:
            return None
        if not isinstance(value, dict) or not all(isinstance(text, str) and text.strip() for text in value.values()):
            raise self.error(key, "it is not a table of texts between quotes")
        return value

    def whole_number(self, key: str, lowest: int, highest: int, default: int) -> int:
        """A number without quotes."""
        value = self._table.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
            raise self.error(key, f"it is not a whole number from {lowest} to {highest}, written without quotes")
        return value
