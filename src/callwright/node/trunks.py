"""All trunks of a node: those of its settings, and those that were stored by command or over the API.

The settings' trunks come first and cannot be changed from here; a stored trunk of the same name is not used. The stored
ones follow by priority and name. `--trunk` stands alone. What another process stored is taken up within a second; when
the database is away, everything stays as it is.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from callwright.api.platform import NoSuchTrunk, TrunkOfSettings
from callwright.contract.trunks import FROM_DATABASE, FROM_SETTINGS, TrunkEntry, TrunkState, TrunkTried
from callwright.errors import CallwrightError, SettingsError, TelephonyError
from callwright.settings import Settings, read_trunk, write_trunk
from callwright.settings import Trunk as SettingsTrunk
from callwright.settings_table import Table
from callwright.sip.outputs import Address, Replied
from callwright.sip.streams import place_text
from callwright.storage.store import Store
from callwright.storage.trunks import StoredTrunk
from callwright.telephony.condition import TrunkReport
from callwright.telephony.trunk import Trunk, configured, wide_codecs
from callwright.telephony.trunking import contexts_of

log = logging.getLogger(__name__)

LOOK_EVERY_SECONDS = 1.0


class Line(Protocol):
    """Who carries calls over them: `telephony.line.Telephony`."""

    async def change_trunks(self, trunks: Sequence[Trunk]) -> None:
        """From now on these are all trunks."""

    def trunk_reports(self) -> list[TrunkReport]:
        """How each is doing."""

    async def ask_trunk(self, name: str) -> list[tuple[Address, Replied]]:
        """OPTIONS to each of its addresses."""


@dataclass(frozen=True, slots=True)
class Known:
    """One trunk, used or not."""

    trunk: SettingsTrunk
    source: str
    updated_at: float | None = None
    problem: str = ""


class Trunks:
    """Made, then `load`ed for the line's start, then `follow`ed until `stop`."""

    def __init__(self, settings: Settings, store: Store, sleep: Callable[[float], Awaitable[None]]) -> None:
        self._settings = settings
        self._store = store
        self._sleep = sleep
        self._known: list[Known] = []
        self._edition = -1
        self._line: Line
        self._built_in: Trunk | None = None
        self._widen: Callable[[Sequence[str]], None]
        self._changing = asyncio.Lock()
        self._following: asyncio.Task[None] | None = None

    # --- life ------------------------------------------------------------------------------------------------------

    async def load(self) -> None:
        """Read what is stored. StorageError when the database does not answer."""
        self._edition = await self._store.trunks_edition()
        stored = await self._store.stored_trunks()
        self._known = [
            *[Known(trunk, FROM_SETTINGS) for trunk in self._settings.trunks],
            *sorted(map(self._judged, stored), key=lambda known: (known.trunk.priority, known.trunk.name)),
        ]

    def in_use(self, built_in: Trunk | None = None) -> tuple[Trunk, ...]:
        """The trunks that carry calls, the first to be called in front; the built-in carrier when there is none."""
        self._built_in = built_in or self._built_in
        trunks = tuple(configured(known.trunk) for known in self._known if not known.problem)
        return trunks or ((self._built_in,) if self._built_in is not None else ())

    def follow(self, line: Line, widen: Callable[[Sequence[str]], None]) -> None:
        """From now on tell `line` of changes, and `widen` in which codecs besides G.711 prompts are needed for them."""
        self._line, self._widen = line, widen
        self._following = asyncio.create_task(self._keep_looking())

    async def stop(self) -> None:
        """Look no more."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)

    def _judged(self, stored: StoredTrunk) -> Known:
        problem = ""
        try:
            trunk = parse(stored.name, stored.table)
        except CallwrightError as error:
            problem = str(error)
            trunk = parse(stored.name, {"uri": "sip:invalid.invalid"})
        if self._settings.trunk is not None:
            problem = "--trunk stands alone"
        elif any(trunk.name == stored.name for trunk in self._settings.trunks):
            problem = f"the trunk of this name in {self._settings.config} is used instead"
        return Known(trunk, FROM_DATABASE, stored.updated_at, problem)

    async def _keep_looking(self) -> None:
        was_away = False
        while True:
            await self._sleep(LOOK_EVERY_SECONDS)
            try:
                if await self._store.trunks_edition() != self._edition:
                    await self._take_up()
                was_away = False
            except CallwrightError as error:
                if not was_away:
                    log.warning("stored trunks are not looked at: %s", error)
                was_away = True

    async def _take_up(self) -> None:
        async with self._changing:
            await self.load()
            trunks = self.in_use()
            self._widen(wide_codecs(trunks))
            await self._line.change_trunks(trunks)
            log.warning("trunks changed: calls go over %s", ", ".join(trunk.name for trunk in trunks) or "none")

    # --- what the API asks -----------------------------------------------------------------------------------------

    def entries(self) -> list[TrunkEntry]:
        """All of them, with their state here."""
        reports = {report.name: report for report in self._line.trunk_reports()}
        return [_entry(known, None if known.problem else reports.get(known.trunk.name)) for known in self._known]

    async def put(self, name: str, table: Mapping[str, object], *, keep_password: bool = False) -> TrunkEntry:
        """Store a trunk, or replace it; calls go over it when this returns.

        With `keep_password` a table without one has that of the trunk before. TrunkOfSettings when it is one of the
        settings', SettingsError when the table is wrong.
        """
        self._refuse_settings(name)
        before = {trunk.name: trunk.table for trunk in await self._store.stored_trunks()}.get(name, {})
        if keep_password and "password" in before and "password" not in table:
            table = {**table, "password": before["password"]}
        parse(name, table)
        await self._store.put_trunk(name, table)
        await self._take_up()
        return self.entry(name)

    def entry(self, name: str) -> TrunkEntry:
        """One of them; NoSuchTrunk."""
        for entry in self.entries():
            if entry.name == name:
                return entry
        raise NoSuchTrunk(name)

    async def remove(self, name: str) -> None:
        """Take a stored trunk away. TrunkOfSettings when it is one of the settings', NoSuchTrunk."""
        stored = any(known.trunk.name == name and known.source == FROM_DATABASE for known in self._known)
        if not stored:
            self._refuse_settings(name)
        if not await self._store.remove_trunk(name):
            raise NoSuchTrunk(name)
        await self._take_up()

    async def ask(self, name: str) -> list[TrunkTried]:
        """OPTIONS to each address of a trunk. NoSuchTrunk; TelephonyError when it has none or takes no calls."""
        entry = self.entry(name)
        if entry.problem:
            raise TelephonyError(entry.problem)
        return [
            TrunkTried(place_text(address), reply.status, reply.reason, not reply.locally_generated)
            for address, reply in await self._line.ask_trunk(name)
        ]

    def _refuse_settings(self, name: str) -> None:
        if any(trunk.name == name for trunk in self._settings.trunks):
            raise TrunkOfSettings(name, self._settings.config)


def parse(name: str, table: Mapping[str, object]) -> SettingsTrunk:
    """A trunk by the settings' own rules, certificate files included. SettingsError says what is wrong with it."""
    trunk = read_trunk(name, Table(table, f"trunk {name}", "what was stored"))
    try:
        contexts_of([configured(trunk)])
    except TelephonyError as error:
        raise SettingsError(str(error)) from error
    return trunk


def _entry(known: Known, report: TrunkReport | None) -> TrunkEntry:
    state = None
    if report is not None:
        state = TrunkState(
            report.calls,
            report.waiting,
            report.is_healthy,
            report.is_registered,
            report.closed_until,
            report.options,
            report.registration,
        )
    return TrunkEntry(
        known.trunk.name,
        known.source,
        write_trunk(replace(known.trunk, password=None)),
        known.trunk.password is not None,
        known.updated_at,
        known.problem,
        state,
    )
