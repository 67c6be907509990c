"""One try to bring one recording to its target: what is missing is made, then it is pushed."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from callwright.contract.recordings import RecordingPushConfig
from callwright.errors import PushFailed, StorageError, StorageUnavailable
from callwright.recordings.encoding import Encoded, Encoders, Unusable
from callwright.recordings.lanes import Waiting
from callwright.recordings.places import Place, place
from callwright.recordings.ports import PushConfig, Records
from callwright.recordings.push.parcel import Parcel, Push
from callwright.recordings.spool import Spool, Spooled


@dataclass(frozen=True, slots=True)
class Arrived:
    """It lies at its target."""

    place: Place


@dataclass(frozen=True, slots=True)
class NotArrived:
    """Not this time."""

    reason: str
    "a sentence for the sub-account"
    place: Place | None = None
    "where it would lie; None: nobody knows yet"
    is_made: bool = True
    "the file for upload is there, or was not needed yet"


@dataclass(frozen=True, slots=True)
class Lost:
    """There is nothing to bring, now or later."""

    reason: str
    place: Place | None = None


Outcome = Arrived | NotArrived | Lost


class Uploader:
    """Knows how each protocol is spoken."""

    def __init__(self, store: Records, spool: Spool, pushes: Mapping[str, Push], encoders: Encoders) -> None:
        self._store = store
        self._spool = spool
        self._pushes = pushes
        self._encoders = encoders

    async def bring(self, waiting: Waiting) -> Outcome:
        """Try once. StorageUnavailable when the database does not say where to."""
        try:
            config = await self._store.find_push_config(waiting.sub_account_id)
        except StorageUnavailable:
            raise
        except StorageError as error:
            return NotArrived(f"The push config cannot be read: {error}.")
        if config is None:
            return NotArrived("There is no push config for recordings.")
        spooled = await asyncio.to_thread(self._spool.find, waiting.session_id, waiting.recording_id)
        if spooled is None:
            return Lost("The recording's file is gone.", _place(config, waiting, config.audio_format))
        if not spooled.is_made:
            made = await self._make(spooled, waiting, config)
            if not isinstance(made, Spooled):
                return made
            spooled = made
        where = _place(config, waiting, spooled.kind)
        push = self._pushes.get(config.protocol)
        if push is None:
            return NotArrived(f"This installation does not push to {config.protocol}.", where)
        try:
            await push(Parcel(waiting.sub_account_id, _contract(config), spooled.path, spooled.kind, where.path))
        except PushFailed as error:
            return NotArrived(str(error), where)
        return Arrived(where)

    async def _make(self, recorded: Spooled, waiting: Waiting, config: PushConfig) -> Spooled | Outcome:
        """The file for upload, which takes the place of what the call left."""
        where = _place(config, waiting, config.audio_format)
        target = self._spool.made(waiting.session_id, waiting.recording_id, config.audio_format)
        result = await self._encoders.make(recorded.path, target, config.audio_format)
        match result:
            case Encoded():
                await asyncio.to_thread(recorded.path.unlink, missing_ok=True)
                return Spooled(target, config.audio_format, is_made=True)
            case Unusable(reason):
                return Lost(f"The recording cannot be used: {reason}.", where)
        return NotArrived(f"The recording is not ready: {result.reason}.", where, is_made=False)


def _contract(config: PushConfig) -> RecordingPushConfig:
    return RecordingPushConfig(config.protocol, config.host, config.port, config.username, config.password, config.path)


def _place(config: PushConfig, waiting: Waiting, kind: str) -> Place:
    return place(_contract(config), waiting.session_id, waiting.recording_id, waiting.started_at, kind)
