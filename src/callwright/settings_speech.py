"""Who speaks: the tables `[speech]`, `[speech.azure]`, `[speech.google]`, `[speech.polly]` and `[speech.piper]`.

    [speech]
    order = ["azure", "polly", "espeak"]

    [speech.azure]
    key = "…"
    region = "westeurope"

A provider with a table is used; espeak-ng, the local engine, needs none. `order` says who is asked first and may leave
espeak-ng out; without it the order is that of `PROVIDERS`. Endpoints are https; http only to this machine, in
development. This module reads no file and looks at none.
"""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass

from callwright.errors import SettingsError
from callwright.settings_table import Secret, Table, did_you_mean, refuse_unknown

ESPEAK = "espeak"
PROVIDERS = ("azure", "google", "polly", "piper", ESPEAK)
"""Every provider there is, in the order they are asked unless `order` says otherwise."""

POLLY_ENGINES = ("standard", "neural")

_ENDPOINT = re.compile(r"(?P<scheme>https?)://(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(:[0-9]{1,5})?(/[\w.~/-]*)?")
_AZURE_REGION = re.compile(r"[a-z0-9]{2,40}")
_AWS_REGION = re.compile(r"[a-z]{2}(-[a-z]+){1,2}-[0-9]{1,2}")
_VOICE_KEY = re.compile(r"(?P<locale>[a-z]{2,3}-[A-Z]{2})(-(?P<gender>[FM]))?")


@dataclass(frozen=True, slots=True)
class AzureSpeech:
    """Azure Speech, `[speech.azure]`."""

    key: Secret
    endpoint: str
    "without the path of the API, such as https://westeurope.tts.speech.microsoft.com"


@dataclass(frozen=True, slots=True)
class GoogleSpeech:
    """Google Cloud Text-to-Speech, `[speech.google]`."""

    api_key: Secret
    endpoint: str


@dataclass(frozen=True, slots=True)
class PollySpeech:
    """Amazon Polly, `[speech.polly]`."""

    access_key_id: Secret
    secret_access_key: Secret
    region: str
    engine: str
    "preferred; a voice that does not have it is spoken with one it has"
    endpoint: str


@dataclass(frozen=True, slots=True)
class PiperVoiceFile:
    """A voice of Piper on this machine."""

    locale: str
    "language and country, such as en-US"
    gender: str | None
    "F or M; None stands in for both"
    path: str
    "as written: relative paths start where callwright was started"

    @property
    def key(self) -> str:
        """As it is written in `voices`: en-US or en-US-F."""
        return self.locale if self.gender is None else f"{self.locale}-{self.gender}"


@dataclass(frozen=True, slots=True)
class PiperSpeech:
    """Piper, `[speech.piper]`."""

    voices: tuple[PiperVoiceFile, ...]
    workers: int
    "processes; each holds up to three voices in memory"


@dataclass(frozen=True, slots=True)
class SpeechSettings:
    """Who speaks. A provider is configured if and only if its name is in `order`."""

    order: tuple[str, ...]
    "names of PROVIDERS, first asked first"
    azure: AzureSpeech | None = None
    google: GoogleSpeech | None = None
    polly: PollySpeech | None = None
    piper: PiperSpeech | None = None


def read_speech(document: object, file_name: str, *, development: bool) -> SpeechSettings:
    """The table `[speech]` as TOML gives it, None when there is none. SettingsError names the place."""
    if document is None:
        return SpeechSettings((ESPEAK,))
    if not isinstance(document, dict):
        raise SettingsError(f"'speech' in {file_name} is written as a table: [speech]")
    refuse_unknown(document, ["order", *PROVIDERS[:-1]], f"key of [speech] in {file_name}")
    tables: dict[str, Table] = {}
    for name in PROVIDERS[:-1]:
        if name in document:
            if not isinstance(document[name], dict):
                raise SettingsError(f"'{name}' of [speech] in {file_name} is written as a table: [speech.{name}]")
            tables[name] = Table(document[name], f"[speech.{name}]", file_name)
    return SpeechSettings(
        _order(Table(document, "[speech]", file_name), tables),
        azure=_azure(tables["azure"], development) if "azure" in tables else None,
        google=_google(tables["google"], development) if "google" in tables else None,
        polly=_polly(tables["polly"], development) if "polly" in tables else None,
        piper=_piper(tables["piper"]) if "piper" in tables else None,
    )


def _order(table: Table, tables: Mapping[str, Table]) -> tuple[str, ...]:
    usable = [name for name in PROVIDERS if name in tables or name == ESPEAK]
    order = table.texts("order")
    if order is None:
        return tuple(usable)
    if not order:
        raise table.error("order", f"it is empty, so nobody could speak. Write for example {_quoted(usable)}")
    for name in order:
        if name not in PROVIDERS:
            raise table.error("order", f"'{name}' is none of {', '.join(PROVIDERS)}{did_you_mean(name, PROVIDERS)}")
        if name not in usable:
            raise table.error("order", f"'{name}' has no table. Add [speech.{name}] or take it out")
    if len(set(order)) < len(order):
        raise table.error("order", "a provider stands there twice")
    unasked = [name for name in tables if name not in order]
    if unasked:
        raise table.error("order", f"[speech.{unasked[0]}] is there, but '{unasked[0]}' is not in the order")
    return tuple(order)


def _azure(table: Table, development: bool) -> AzureSpeech:
    table.allow("key", "region", "endpoint")
    region = _region(table, _AZURE_REGION, "westeurope")
    endpoint = _endpoint(table, development)
    if (region is None) == (endpoint is None):
        raise table.error("region", "write either the resource's region, such as westeurope, or its endpoint")
    return AzureSpeech(table.secret("key"), endpoint or f"https://{region}.tts.speech.microsoft.com")


def _google(table: Table, development: bool) -> GoogleSpeech:
    table.allow("api_key", "endpoint")
    endpoint = _endpoint(table, development)
    return GoogleSpeech(table.secret("api_key"), endpoint or "https://texttospeech.googleapis.com")


def _polly(table: Table, development: bool) -> PollySpeech:
    table.allow("access_key_id", "secret_access_key", "region", "engine", "endpoint")
    region = _region(table, _AWS_REGION, "eu-west-1")
    if region is None:
        raise table.error("region", 'it is missing. Write for example region = "eu-west-1"')
    engine = table.text("engine") or "neural"
    if engine not in POLLY_ENGINES:
        raise table.error(
            "engine", f"'{engine}' is none of {', '.join(POLLY_ENGINES)}{did_you_mean(engine, POLLY_ENGINES)}"
        )
    domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return PollySpeech(
        table.secret("access_key_id"),
        table.secret("secret_access_key"),
        region,
        engine,
        _endpoint(table, development) or f"https://polly.{region}.{domain}",
    )


def _piper(table: Table) -> PiperSpeech:
    table.allow("voices", "workers")
    written = table.named_texts("voices")
    if not written:
        raise table.error("voices", 'it is missing. Write for example voices = {"en-US" = "voices/en.onnx"}')
    voices = []
    for key, path in written.items():
        found = _VOICE_KEY.fullmatch(key)
        if found is None:
            raise table.error("voices", f"'{key}' is not a language and country such as en-US, en-US-F or en-US-M")
        if "\0" in path:
            raise table.error("voices", f"the path of {key} holds a NUL character")
        voices.append(PiperVoiceFile(found["locale"], found["gender"], path))
    return PiperSpeech(tuple(voices), table.whole_number("workers", 1, 16, default=1))


def _region(table: Table, form: re.Pattern[str], example: str) -> str | None:
    region = table.text("region")
    if region is not None and not form.fullmatch(region):
        raise table.error("region", f"'{region}' is not the name of a region. Write for example {example}")
    return region


def _endpoint(table: Table, development: bool) -> str | None:
    """`https://host[:port][/path]` without a slash at its end; http to loopback in development."""
    endpoint = table.text("endpoint")
    if endpoint is None:
        return None
    found = _ENDPOINT.fullmatch(endpoint)
    if found is None:
        # Not quoted: somebody may have put a key into it.
        raise table.error("endpoint", "it is not a URL such as https://speech.example.com")
    if found["scheme"] == "http" and not (development and _is_loopback(found["host"])):
        raise table.error("endpoint", "it must be https, or keys and texts could be read on their way")
    return endpoint.rstrip("/")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _quoted(names: list[str]) -> str:
    return "[" + ", ".join(f'"{name}"' for name in names) + "]"
