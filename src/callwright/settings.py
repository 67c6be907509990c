"""Everything an operator can set, where it comes from, and what a wrong value is answered with.

One table, `SETTINGS`, is the origin of flags, environment variables, keys of `callwright.toml`, help texts and the
reference page: the setting `rtp_ports` is the flag `--rtp-ports`, the variable `CALLWRIGHT_RTP_PORTS` and the key
`rtp_ports`. A flag wins over the environment, the environment over the file, the file over the default. Unknown keys
and unknown `CALLWRIGHT_` variables are errors: a misspelt limit must not silently be no limit. The tables
`[trunks.NAME]`, `[subaccounts.NAME]` and `[speech]` exist in the file only.

This module reads no file and no environment; both are handed in.
"""

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from callwright.errors import SettingsError
from callwright.settings_address import HostPort as HostPort
from callwright.settings_address import parse_advertised, parse_port, parse_stun_server
from callwright.settings_address import parse_listen_address as parse_listen_address
from callwright.settings_speech import SpeechSettings as SpeechSettings
from callwright.settings_speech import read_speech
from callwright.settings_table import ANY as ANY
from callwright.settings_table import Secret as Secret
from callwright.settings_table import Table, did_you_mean, refuse_unknown
from callwright.settings_trunk import Trunk as Trunk
from callwright.settings_trunk import TrunkUri as TrunkUri
from callwright.settings_trunk import parse_trunk_uri as parse_trunk_uri
from callwright.settings_trunk import read_trunk as read_trunk
from callwright.settings_trunk import write_trunk as write_trunk

DEFAULT_CONFIG = "callwright.toml"
VARIABLE_PREFIX = "CALLWRIGHT_"
DEVELOPMENT_SUB_ACCOUNT = "riders_hq"
"Whose key `callwright run` prints"
DEVELOPMENT_KEY_FILE = "development.key"
"Beside the database, readable by its owner only: so that `callwright call` and a restart find the same key"
ANY_DESTINATION = "+"
"In `SubAccount.destinations`: the prefix that every number has (see `numbers.destination_allowed`)"

_SUB_ACCOUNT_ID = re.compile(r"[A-Za-z0-9\-._&]{3,50}")  # contract §1.1
_API_KEY = re.compile(r"[!-~]{8,256}")


# --- values --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SubAccount:
    """What one customer may do and how lenient requests are read: `[subaccounts.NAME]`."""

    name: str
    caller_ids: tuple[str, ...]
    "numbers that may be shown, E.164 with +; ('*',) any, () none"
    destinations: tuple[str, ...]
    "prefixes that may be called, with +; ('+',) any, () none"
    capture_defaults: str = "guide"
    "'guide' or 'oas': whose defaults sayAndCapture has (contract §13 row 2)"
    strict_digit_timeout: bool = False
    "refuse digitTimeout without overallTimeout with -1005 (contract §13 row 4)"
    coerce_numbers: bool = False
    "accept phone numbers written as JSON integers (contract §13 row 36)"
    accept_old_shapes: bool = False
    "accept on /callflows the single action of early v1.2 (contract §1.7)"
    capital_leg_keys: bool = False
    "call the legs of a summary CallA, CallB (contract §13 row 5)"


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings, checked; the field names are the keys of `SETTINGS`."""

    http: HostPort
    sip: HostPort
    sip_tls: HostPort | None
    sip_tls_certificate: str | None
    sip_tls_key: str | None
    advertise: HostPort | None
    "port 0: the one that SIP listens on"
    stun: HostPort | None
    rtp_ports: range
    data: str
    database: Secret | None
    "the URL of a PostgreSQL database, which may hold a password; None: SQLite in the data directory"
    node_url: str | None
    "how the other nodes on the same database reach this one's HTTP; None: not at all"
    api_key: Secret | None
    trunk: TrunkUri | None
    config: str
    drain_seconds: float
    ring_timeout_seconds: float
    speech_workers: int
    media_processes: int
    log_level: str
    log_format: str
    metrics: str
    recordings_folder: str | None
    sftp_known_hosts: str | None
    trunks: tuple[Trunk, ...]
    "in the order of the file; the setting `trunk` stands alone when given"
    sub_accounts: tuple[SubAccount, ...]
    "those with a table of their own"
    speech: SpeechSettings
    "who speaks, in which order"
    development: bool
    "`callwright run`: what is not restricted is allowed"

    def sub_account(self, name: str) -> SubAccount:
        """The rules for a sub-account, with or without a table; without one a server allows nothing."""
        for account in self.sub_accounts:
            if account.name == name:
                return account
        return _sub_account(name, Table({}, "", self.config), self.development)


# --- reading one value: text in, value out, ValueError with words for people -----------------------------------------


def parse_port_range(text: str) -> range:
    """`A-B`, both included. RTP takes the even port of a pair, RTCP the odd one above (RFC 3550 §11)."""
    first_text, dash, last_text = text.partition("-")
    if not dash:
        raise ValueError("it is not two ports with a dash between them")
    first, last = (parse_port(part.strip(), lowest=1024) for part in (first_text, last_text))
    if first + first % 2 + 1 > last:
        raise ValueError("it holds no pair of an even port and the odd one above it, and a call needs one")
    return range(first, last + 1)


def _parse_path(text: str) -> str:
    if not text:
        raise ValueError("it is empty")
    if "\0" in text:
        raise ValueError("a path holds no NUL character")
    return text


def _parse_database(text: str) -> Secret:
    """A URL that libpq will read; it may hold a password, so no complaint quotes it."""
    if not text.startswith(("postgresql://", "postgres://")):
        raise ValueError("it does not begin with postgresql:// (for SQLite, leave it out)")
    if not text.isprintable() or " " in text:
        raise ValueError("it holds blanks or signs that do not print")
    return Secret(text)


def _parse_node_url(text: str) -> str:
    scheme, divided, rest = text.partition("://")
    if scheme != "http" or not divided or not rest.strip("/") or "/" in rest.rstrip("/") or "@" in rest:
        raise ValueError("write http://HOST:PORT: the nodes speak plain HTTP to each other, on a network of their own")
    parse_listen_address(rest.rstrip("/"))
    return text.rstrip("/")


def _parse_api_key(text: str) -> Secret:
    if not _API_KEY.fullmatch(text):
        raise ValueError("a key is 8 to 256 visible ASCII characters without spaces")
    return Secret(text)


def _seconds(lowest: float, highest: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            seconds = float(text)
        except ValueError:
            raise ValueError(f"'{text}' is not a number") from None
        if not lowest <= seconds <= highest:  # also refuses nan
            raise ValueError(f"{text} is not from {lowest:g} to {highest:g} seconds")
        return seconds

    return parse


def _whole_number(lowest: int, highest: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) <= 9 and lowest <= int(text) <= highest):
            raise ValueError(f"'{text}' is not a whole number from {lowest} to {highest}")
        return int(text)

    return parse


def _one_of(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.lower() not in choices:
            raise ValueError(f"'{text}' is none of {', '.join(choices)}{did_you_mean(text.lower(), choices)}")
        return text.lower()

    return parse


# --- the table -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Setting:
    """One row: what it is called, how it is read, what it means."""

    key: str
    "key in callwright.toml and field of Settings"
    default: str | None
    "as an operator would write it; None = not set"
    parse: Callable[[str], object]
    metavar: str
    help: str
    example: str
    "a right value, shown when a wrong one is refused"
    in_file: bool = True

    @property
    def flag(self) -> str:
        """`--rtp-ports`"""
        return "--" + self.key.replace("_", "-")

    @property
    def variable(self) -> str:
        """`CALLWRIGHT_RTP_PORTS`"""
        return VARIABLE_PREFIX + self.key.upper()


SETTINGS: tuple[Setting, ...] = (
    Setting(
        "http", "127.0.0.1:8080", parse_listen_address, "HOST:PORT",
        "where the HTTP API listens", "127.0.0.1:8080 or [::1]:8080",
    ),
    Setting(
        "sip", "127.0.0.1:5060", parse_listen_address, "HOST:PORT",
        "where SIP listens (UDP and TCP)", "127.0.0.1:5060 or [::1]:5060",
    ),
    Setting(
        "sip_tls", None, parse_listen_address, "HOST:PORT",
        "where SIP listens for TLS; needs sip_tls_certificate", "127.0.0.1:5061",
    ),
    Setting(
        "sip_tls_certificate", None, _parse_path, "FILE",
        "PEM file with our certificate chain for SIP over TLS", "/etc/callwright/sip.pem",
    ),
    Setting(
        "sip_tls_key", None, _parse_path, "FILE",
        "PEM file with its key, when that stands in a file of its own", "/etc/callwright/sip.key",
    ),
    Setting(
        "advertise", None, parse_advertised, "ADDRESS[:PORT]",
        "the address that trunks reach us at, when a NAT gives us another one than `sip`",
        "203.0.113.5 or 203.0.113.5:5060",
    ),
    Setting(
        "stun", None, parse_stun_server, "HOST[:PORT]",
        "a STUN server that says which address that is", "stun.example.com",
    ),
    Setting(
        "rtp_ports", "16384-32767", parse_port_range, "A-B",
        "UDP ports for RTP and RTCP; a leg of a call takes two", "16384-32767",
    ),
    Setting(
        "data", "./callwright-data", _parse_path, "DIR",
        "directory of the database, prompts, waiting recordings, what the built-in handset heard", "./callwright-data",
    ),
    Setting(
        "database", None, _parse_database, "URL",
        "a PostgreSQL database, for several nodes; without it an SQLite file in the data directory",
        "postgresql://callwright@db.example.com/callwright",
    ),
    Setting(
        "node_url", None, _parse_node_url, "URL",
        "how the other nodes on the same database reach the HTTP of this one", "http://10.0.0.5:8080",
    ),
    Setting(
        "api_key", None, _parse_api_key, "KEY",
        "presets the development key of `callwright run`", "my-development-key",
    ),
    Setting(
        "trunk", None, parse_trunk_uri, "sip:HOST:PORT",
        "send all calls to this trunk; the built-in carrier stays off", "sip:192.0.2.1:5060",
    ),
    Setting(
        "config", DEFAULT_CONFIG, _parse_path, "FILE",
        "the settings file; without this setting callwright.toml is read if it exists", "callwright.toml",
        in_file=False,
    ),
    Setting(
        "drain_seconds", "60", _seconds(0, 3600), "SECONDS",
        "how long running calls may go on after SIGTERM", "60",
    ),
    Setting(
        "ring_timeout_seconds", "60", _seconds(5, 180), "SECONDS",
        "how long a phone rings before the call is given up as NO_ANSWER", "60",
    ),
    Setting(
        "speech_workers", "2", _whole_number(1, 64), "N",
        "processes that synthesize speech, and as many that decode audio files, at most", "2",
    ),
    Setting(
        "media_processes", "1", _whole_number(1, 64), "N",
        "processes that send and receive RTP: one a core, for thousands of calls at once", "2",
    ),
    Setting(
        "log_level", "info", _one_of("debug", "info", "warning", "error"), "LEVEL",
        "least severe lines that are logged: debug, info, warning or error", "info",
    ),
    Setting(
        "log_format", "text", _one_of("text", "json"), "FORMAT",
        "text for people, json for one object a line", "text",
    ),
    Setting(
        "metrics", "loopback", _one_of("loopback", "any", "off"), "WHO",
        "who may read GET /metrics: loopback (direct requests from this machine), any or off", "loopback",
    ),
    Setting(
        "recordings_folder", None, _parse_path, "DIR",
        "where recordings go whose push config says LOCAL; without it they go nowhere", "/srv/recordings",
    ),
    Setting(
        "sftp_known_hosts", None, _parse_path, "FILE",
        "the only SFTP servers that recordings are pushed to, as ssh lists them; without it a server's first key is "
        "trusted", "/etc/ssh/ssh_known_hosts",
    ),
)  # fmt: skip
"""Every setting that is one value."""

_BY_KEY = {setting.key: setting for setting in SETTINGS}


# --- loading ---------------------------------------------------------------------------------------------------------


def config_file(environ: Mapping[str, str], flags: Mapping[str, str | None]) -> str | None:
    """The settings file somebody named; None when nobody did (then `DEFAULT_CONFIG` is read if it exists)."""
    return flags.get("config") or environ.get(_BY_KEY["config"].variable) or None


def load(
    toml_text: str | None,
    environ: Mapping[str, str],
    flags: Mapping[str, str | None],
    *,
    development: bool = False,
) -> Settings:
    """Settings from a file's text, the environment and the command line.

    `flags` maps keys of `SETTINGS` to what was written, None or absent when it was not given; an empty variable counts
    as not given. `development` (`callwright run`) allows caller ids and destinations that are not listed; a server
    denies them. Raises SettingsError naming the setting, where the value came from, what is wrong and what to do.
    """
    file_name = config_file(environ, flags) or DEFAULT_CONFIG
    document = _read_document(toml_text, file_name)
    trunk_tables, account_tables = _take_table(document, "trunks"), _take_table(document, "subaccounts")
    refuse_unknown(
        document,
        [s.key for s in SETTINGS if s.in_file] + ["trunks", "subaccounts", "speech"],
        f"setting in {file_name}",
    )
    refuse_unknown(flags, _BY_KEY, "flag")
    refuse_unknown(
        (name for name in environ if name.startswith(VARIABLE_PREFIX)),
        [s.variable for s in SETTINGS],
        "environment variable",
    )
    if "trunk" in document and trunk_tables:
        raise SettingsError(f"{file_name} has both 'trunk' and [trunks.NAME] tables: keep one of them")
    values = {setting.key: _value(setting, document, environ, flags, file_name) for setting in SETTINGS}
    if values["advertise"] is not None and values["stun"] is not None:
        raise SettingsError("advertise and stun both say which address trunks reach us at. Keep one of them")
    trunks = tuple(
        read_trunk(name, Table(table, f"[trunks.{name}]", file_name)) for name, table in trunk_tables.items()
    )
    if values["trunk"] is not None:
        trunks = (Trunk("default", values["trunk"]),)
    return Settings(
        **values,
        trunks=trunks,
        sub_accounts=tuple(
            _sub_account(name, Table(table, f"[subaccounts.{name}]", file_name), development)
            for name, table in account_tables.items()
        ),
        speech=read_speech(document.get("speech"), file_name, development=development),
        development=development,
    )


def reference() -> str:
    """The settings as a Markdown table, for the documentation."""
    rows = ["| flag | variable | key | default | |", "|---|---|---|---|---|"]
    for s in SETTINGS:
        key = f"`{s.key}`" if s.in_file else ""
        default = f"`{s.default}`" if s.default else ""
        rows.append(f"| `{s.flag} {s.metavar}` | `{s.variable}` | {key} | {default} | {s.help} |")
    return "\n".join(rows) + "\n"


def _read_document(toml_text: str | None, file_name: str) -> dict[str, Any]:
    try:
        return tomllib.loads(toml_text or "")
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{file_name} is not TOML: {error}. Correct that line and start again") from error


def _take_table(document: dict[str, Any], key: str) -> dict[str, Any]:
    table = document.get(key, {})
    if not isinstance(table, dict) or not all(isinstance(inner, dict) for inner in table.values()):
        raise SettingsError(f"'{key}' is written as tables: [{key}.NAME], one for each")
    return table


def _value(
    setting: Setting,
    document: Mapping[str, Any],
    environ: Mapping[str, str],
    flags: Mapping[str, str | None],
    file_name: str,
) -> Any:
    """The value that wins, read; Any because the table's columns have many types and Settings' fields name them."""
    text, origin = flags.get(setting.key), setting.flag
    if text is None and environ.get(setting.variable):
        text, origin = environ[setting.variable], setting.variable
    if text is None and setting.in_file and setting.key in document:
        written, origin = document[setting.key], f"'{setting.key}' in {file_name}"
        if isinstance(written, bool) or not isinstance(written, str | int | float):
            raise SettingsError(f"{origin} is not one value. Write for example {setting.example}")
        text = str(written)
    if text is None:
        return None if setting.default is None else setting.parse(setting.default)
    try:
        return setting.parse(text.strip())
    except ValueError as error:
        also = f" (the flag is {setting.flag})" if origin != setting.flag else ""
        raise SettingsError(f"{origin}: {error}. Write for example {setting.example}{also}") from error


def _sub_account(name: str, table: Table, development: bool) -> SubAccount:
    if not _SUB_ACCOUNT_ID.fullmatch(name):
        raise SettingsError(f"{table.place}: a sub-account's name is 3 to 50 letters, digits, '-', '.', '_' or '&'")
    choices = ("strict_digit_timeout", "coerce_numbers", "accept_old_shapes", "capital_leg_keys")
    table.allow("caller_ids", "destinations", "capture_defaults", *choices)
    try:
        capture_defaults = _one_of("guide", "oas")(table.text("capture_defaults") or "guide")
    except ValueError as error:
        raise table.error("capture_defaults", f"{error}. Write guide or oas") from error
    unlisted = (ANY,) if development else ()
    caller_ids = table.numbers("caller_ids", re.compile(r"\+?[0-9]{7,15}"), "an E.164 number such as +6588000000")
    prefixes = table.numbers("destinations", re.compile(r"\+?[0-9]{1,15}"), "the beginning of a number such as +65")
    if prefixes is None:
        prefixes = unlisted
    return SubAccount(
        name,
        caller_ids=unlisted if caller_ids is None else caller_ids,
        destinations=(ANY_DESTINATION,) if prefixes == (ANY,) else prefixes,
        capture_defaults=capture_defaults,
        **{key: table.truth(key) for key in choices},
    )
