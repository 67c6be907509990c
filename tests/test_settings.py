"""Settings: where values come from, and what wrong ones are answered with."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callwright import settings
from callwright.errors import SettingsError
from callwright.settings import ANY, ANY_DESTINATION, SETTINGS, HostPort, Secret, load

SECRET = "cw_canary-0123456789abcdef"

# One right value for each setting, other than its default.
OTHER: dict[str, str] = {
    "advertise": "203.0.113.5:5070",
    "stun": "stun.example.com:3479",
    "database": "postgresql://callwright@db.example.com/callwright",
    "http": "[::1]:9000",
    "sip": "0.0.0.0:5070",
    "sip_tls": "0.0.0.0:5071",
    "sip_tls_certificate": "/etc/ssl/sip.pem",
    "sip_tls_key": "/etc/ssl/sip.key",
    "rtp_ports": "20000-20010",
    "data": "/srv/callwright",
    "node_url": "http://10.0.0.5:8080",
    "api_key": SECRET,
    "trunk": "sip:carrier.example.com:5080",
    "config": "other.toml",
    "drain_seconds": "12.5",
    "ring_timeout_seconds": "30",
    "speech_workers": "7",
    "media_processes": "3",
    "log_level": "debug",
    "log_format": "json",
    "metrics": "any",
    "recordings_folder": "/srv/recordings",
    "sftp_known_hosts": "/etc/ssh/ssh_known_hosts",
}


def test_without_anything_the_defaults_hold() -> None:
    loaded = load(None, {}, {})
    assert loaded.http == HostPort("127.0.0.1", 8080)
    assert loaded.sip == HostPort("127.0.0.1", 5060)
    assert loaded.rtp_ports == range(16384, 32768)
    assert loaded.data == "./callwright-data"
    assert loaded.api_key is None
    assert loaded.trunks == ()
    assert loaded.ring_timeout_seconds == 60.0
    assert loaded.metrics == "loopback"


@pytest.mark.parametrize("key", [s.key for s in SETTINGS])
def test_every_setting_can_be_given_as_a_flag_a_variable_and_a_key(key: str) -> None:
    setting = next(s for s in SETTINGS if s.key == key)
    default, other = getattr(load(None, {}, {}), key), OTHER[key]
    from_flag = getattr(load(None, {}, {key: other}), key)
    assert from_flag != default
    assert getattr(load(None, {setting.variable: other}, {}), key) == from_flag
    if setting.in_file:
        assert getattr(load(f'{key} = "{other}"', {}, {}), key) == from_flag
    else:
        with pytest.raises(SettingsError, match="unknown setting"):
            load(f'{key} = "{other}"', {}, {})


def test_flag_wins_over_environment_over_file() -> None:
    text = 'http = "127.0.0.1:1000"'
    environ = {"CALLWRIGHT_HTTP": "127.0.0.1:2000"}
    assert load(text, {}, {}).http.port == 1000
    assert load(text, environ, {}).http.port == 2000
    assert load(text, environ, {"http": "127.0.0.1:3000"}).http.port == 3000


def test_an_empty_variable_and_an_absent_flag_count_as_not_given() -> None:
    assert load(None, {"CALLWRIGHT_HTTP": ""}, {"http": None}).http.port == 8080


def test_numbers_in_the_file_may_stand_without_quotes() -> None:
    loaded = load("drain_seconds = 5\nspeech_workers = 3\nring_timeout_seconds = 20.5", {}, {})
    assert (loaded.drain_seconds, loaded.speech_workers, loaded.ring_timeout_seconds) == (5.0, 3, 20.5)


@pytest.mark.parametrize(
    ("text", "environ", "flags", "complaint"),
    [
        ('htp = "x"', {}, {}, r"unknown setting in callwright.toml 'htp'. Did you mean 'http'\?"),
        (
            "",
            {"CALLWRIGHT_HTPP": "x"},
            {},
            r"unknown environment variable 'CALLWRIGHT_HTPP'. Did you mean 'CALLWRIGHT_H",
        ),
        ("", {}, {"sipp": "x"}, r"unknown flag 'sipp'. Did you mean 'sip'\?"),
        ('zzz = "x"', {}, {}, r"Known: http, sip, "),
        ('[trunks.a]\nuri = "sip:192.0.2.1"\npasword = "x"', {}, {}, r"'pasword'. Did you mean 'password'\?"),
        ('[subaccounts.riders_hq]\ncallerids = ["*"]', {}, {}, r"'callerids'. Did you mean 'caller_ids'\?"),
    ],
)
def test_unknown_names_are_refused_with_the_likely_right_one(
    text: str, environ: dict[str, str], flags: dict[str, str | None], complaint: str
) -> None:
    with pytest.raises(SettingsError, match=complaint):
        load(text, environ, flags)


def test_variables_of_other_programs_are_left_alone() -> None:
    load(None, {"PATH": "/bin", "HTTP": "nonsense", "CALLWRIGHTS": "x"}, {})


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:8080", "127.0.0.1", 8080),
        ("0.0.0.0:0", "0.0.0.0", 0),
        ("[::1]:8080", "::1", 8080),
        ("[2001:DB8:0:0::1]:65535", "2001:db8::1", 65535),
        ("localhost:80", "localhost", 80),
        ("voice_1.example.com:80", "voice_1.example.com", 80),
    ],
)
def test_listen_addresses_are_read_and_written_alike(text: str, host: str, port: int) -> None:
    address = settings.parse_listen_address(text)
    assert (address.host, address.port) == (host, port)
    assert settings.parse_listen_address(str(address)) == address


@pytest.mark.parametrize(
    "text",
    [
        "8080", ":8080", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:８０", "::1:8080",
        "[::1]", "[::1]8080", "[::1:8080", "[127.0.0.1]:80", "999.1.1.1:80", "1.2.3:80", "bad host:80", "-a.example:80",
        "http://127.0.0.1:80", "127.0.0.1:80/x", "a..example.com:80", "[::1]:", "127.0.0.1:+80",
    ],
)  # fmt: skip
@pytest.mark.parametrize("setting", ["http", "sip"])
def test_what_is_no_listen_address_is_refused_with_an_example(setting: str, text: str) -> None:
    with pytest.raises(SettingsError, match=rf"^--{setting}: .*Write for example 127\.0\.0\.1:"):
        load(None, {}, {setting: text})


@pytest.mark.parametrize(
    ("address", "loopback"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False)],
)
def test_loopback_is_known(address: str, loopback: bool) -> None:
    assert HostPort(address, 1).is_loopback is loopback


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("sip:192.0.2.1:5070", "192.0.2.1", 5070),
        ("SIP:192.0.2.1", "192.0.2.1", 5060),
        ("sip:[2001:db8::5]", "2001:db8::5", 5060),
        ("sip:[2001:db8::5]:5062", "2001:db8::5", 5062),
        ("sip:carrier.example.com", "carrier.example.com", 5060),
    ],
)
def test_a_trunk_uri_names_host_and_port(text: str, host: str, port: int) -> None:
    (trunk,) = load(None, {}, {"trunk": text}).trunks
    assert (trunk.address.host, trunk.address.port, trunk.name) == (host, port, "default")
    assert settings.parse_trunk_uri(trunk.uri) == trunk.address


@pytest.mark.parametrize(
    "text",
    [
        "192.0.2.1:5060", "sips:192.0.2.1", "sip:", "sip:user@192.0.2.1", "sip:192.0.2.1:0",
        "sip:192.0.2.1;transport=sctp", "sip:192.0.2.1;lr", "sip:192.0.2.1?X=1",
        "sip:a b", "sip::5060", "tel:+6512345678",
    ],
)  # fmt: skip
def test_what_is_no_trunk_uri_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match=r"^--trunk: .*sip:192\.0\.2\.1:5060"):
        load(None, {}, {"trunk": text})


@pytest.mark.parametrize(
    "text", ["16384", "1000-2000", "3000-2000", "2001-2002", "2000-2000", "a-b", "2000-70000", "-"]
)
def test_what_is_no_usable_port_range_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="--rtp-ports"):
        load(None, {}, {"rtp_ports": text})


def test_the_smallest_usable_port_range_is_one_even_and_odd_pair() -> None:
    assert load(None, {}, {"rtp_ports": "2000-2001"}).rtp_ports == range(2000, 2002)
    assert load(None, {}, {"rtp_ports": "2001 - 2003"}).rtp_ports == range(2001, 2004)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("drain_seconds", "-1"), ("drain_seconds", "nan"), ("drain_seconds", "inf"), ("drain_seconds", "soon"),
        ("ring_timeout_seconds", "4"), ("ring_timeout_seconds", "181"), ("speech_workers", "0"),
        ("speech_workers", "1.5"), ("media_processes", "0"),
        ("speech_workers", "٣"), ("log_level", "chatty"), ("log_format", "xml"), ("metrics", "some"), ("data", " "),
        ("data", "a\0b"), ("api_key", "short"), ("api_key", "has spaces in the middle of it"), ("api_key", "k" * 257),
        ("database", "mysql://canary@localhost/x"), ("database", "sqlite:///canary.db"),
        ("database", "postgresql://a b"),
    ],
)  # fmt: skip
def test_a_wrong_value_names_its_setting_and_where_it_came_from(key: str, text: str) -> None:
    setting = next(s for s in SETTINGS if s.key == key)
    with pytest.raises(SettingsError, match=f"^{setting.flag}: .*Write for example"):
        load(None, {}, {key: text})
    with pytest.raises(SettingsError, match=rf"^{setting.variable}: .*\(the flag is {setting.flag}\)"):
        load(None, {setting.variable: text}, {})


def test_a_wrong_value_in_the_file_names_the_file() -> None:
    with pytest.raises(SettingsError, match=r"^'http' in voice\.toml: "):
        load("http = 8080", {"CALLWRIGHT_CONFIG": "voice.toml"}, {})


@pytest.mark.parametrize("text", ["http = true", "http = []", "http = {}", "trunks = 1", "subaccounts.x = 2"])
def test_wrong_toml_types_are_refused(text: str) -> None:
    with pytest.raises(SettingsError):
        load(text, {}, {})


def test_a_file_that_is_not_toml_is_refused_with_its_line() -> None:
    with pytest.raises(SettingsError, match=r"callwright\.toml is not TOML: .*line 2"):
        load('http = "127.0.0.1:1"\nsip =\nrtp_ports = 5', {}, {})


def test_the_settings_file_may_be_named_by_flag_or_variable() -> None:
    assert settings.config_file({}, {}) is None
    assert settings.config_file({"CALLWRIGHT_CONFIG": "a.toml"}, {}) == "a.toml"
    assert settings.config_file({"CALLWRIGHT_CONFIG": "a.toml"}, {"config": "b.toml"}) == "b.toml"


TRUNKS = """
[trunks.first]
uri = "sip:192.0.2.1:5070"
username = "riders"
password = "canary-password"
codecs = ["pcma", "PCMU"]
[trunks.second]
uri = "sip:192.0.2.2"
"""


def test_trunks_come_in_the_order_of_the_file() -> None:
    first, second = load(TRUNKS, {}, {}).trunks
    assert (first.name, first.username, first.codecs) == ("first", "riders", ("PCMA", "PCMU"))
    assert first.password is not None
    assert first.password.reveal() == "canary-password"
    assert (second.name, second.uri, second.password) == ("second", "sip:192.0.2.2", None)
    assert second.codecs == ("PCMU", "PCMA")


def test_the_trunk_flag_stands_alone_over_the_tables_of_the_file() -> None:
    (only,) = load(TRUNKS, {}, {"trunk": "sip:127.0.0.1:5080"}).trunks
    assert only.uri == "sip:127.0.0.1:5080"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('trunk = "sip:192.0.2.9"' + TRUNKS, "both 'trunk' and"),
        ("[trunks.a]\nusername = 'x'", "'uri' of .*missing"),
        ("[trunks.a]\nuri = 'nonsense'", "does not begin with 'sip:'"),
        ("[trunks.a]\nuri = 5", "'uri' of .*not text"),
        ("[trunks.a]\nuri = 'sip:192.0.2.1'\npassword = 'x'", "'username' of .*missing"),
        ("[trunks.a]\nuri = 'sip:192.0.2.1'\ncodecs = ['PCMW']", "Did you mean 'PCM"),
        ("[trunks.a]\nuri = 'sip:192.0.2.1'\ncodecs = ['PCMU', 'pcmu']", "twice"),
        ("[trunks.a]\nuri = 'sip:192.0.2.1'\ncodecs = 'PCMU'", "not a list"),
        ("[trunks.'a b']\nuri = 'sip:192.0.2.1'", "a trunk's name"),
        ("[subaccounts.xy]", "a sub-account's name"),
        ("[subaccounts.'a/b/c']", "a sub-account's name"),
        ("[subaccounts.abc]\ncaller_ids = ['*', '+6588000000']", "stands alone"),
        ("[subaccounts.abc]\ncaller_ids = ['65 8800 0000']", "not an E.164 number"),
        ("[subaccounts.abc]\ncaller_ids = '+6588000000'", "not a list"),
        ("[subaccounts.abc]\ndestinations = ['']", "not the beginning"),
        ("[subaccounts.abc]\ndestinations = [65]", "not a list"),
        ("[subaccounts.abc]\ncapture_defaults = 'oass'", "Did you mean 'oas'"),
        ("[subaccounts.abc]\nstrict_digit_timeout = 'yes'", "true or false"),
        ("[subaccounts.abc]\ncapital_leg_keys = 1", "true or false"),
        ("[subaccounts.abc]\naccept_old_shape = true", "Did you mean 'accept_old_shapes'"),
    ],
)
def test_wrong_tables_are_refused(text: str, complaint: str) -> None:
    with pytest.raises(SettingsError, match=complaint):
        load(text, {}, {})


def test_sub_accounts_say_what_they_may_do() -> None:
    loaded = load(
        '[subaccounts.riders_hq]\ncaller_ids = ["6588000000"]\ndestinations = ["+65", "62"]\n'
        'capture_defaults = "oas"\nstrict_digit_timeout = true\ncoerce_numbers = true\n'
        "accept_old_shapes = true\ncapital_leg_keys = true",
        {},
        {},
    )
    account = loaded.sub_account("riders_hq")
    assert account.caller_ids == ("+6588000000",)
    assert account.destinations == ("+65", "+62")
    assert account.capture_defaults == "oas"
    assert account.strict_digit_timeout
    assert account.coerce_numbers
    assert account.accept_old_shapes
    assert account.capital_leg_keys


@pytest.mark.parametrize("text", [None, "[subaccounts.riders_hq]"])
def test_what_is_not_listed_is_denied_by_a_server_and_allowed_in_development(text: str | None) -> None:
    denied = load(text, {}, {}).sub_account("riders_hq")
    assert (denied.caller_ids, denied.destinations) == ((), ())
    allowed = load(text, {}, {}, development=True).sub_account("riders_hq")
    assert (allowed.caller_ids, allowed.destinations) == ((ANY,), (ANY_DESTINATION,))


def test_an_empty_list_denies_even_in_development() -> None:
    account = load("[subaccounts.riders_hq]\ndestinations = []", {}, {}, development=True).sub_account("riders_hq")
    assert account.destinations == ()


def test_a_wrong_database_is_not_quoted() -> None:
    for wrong in ("postgres:callwright:canary@db.example.com", "mysql://callwright:canary@db.example.com/x"):
        with pytest.raises(SettingsError, match=r"^--database: .*postgresql://") as complaint:
            load(None, {}, {"database": wrong})
        assert "canary" not in str(complaint.value)


def test_secrets_do_not_show() -> None:
    loaded = load(TRUNKS, {"CALLWRIGHT_API_KEY": SECRET}, {})
    shown = f"{loaded} {loaded!r} {loaded.api_key} {loaded.trunks[0].password}"
    assert SECRET not in shown
    assert "canary-password" not in shown
    assert loaded.api_key == Secret(SECRET)
    with pytest.raises(SettingsError) as refused:
        load(None, {"CALLWRIGHT_API_KEY": "canary secret with spaces"}, {})
    assert "canary" not in str(refused.value)


def test_flags_variables_and_reference_come_from_one_table() -> None:
    reference = settings.reference()
    for setting in SETTINGS:
        assert re.fullmatch(r"--[a-z]+(-[a-z]+)*", setting.flag)
        assert f"`{setting.flag} " in reference
        assert f"`{setting.variable}`" in reference
    assert next(s for s in SETTINGS if s.key == "rtp_ports").variable == "CALLWRIGHT_RTP_PORTS"


@given(st.sampled_from(SETTINGS), st.text())
def test_any_text_is_read_or_refused_with_a_settings_error(setting: settings.Setting, text: str) -> None:
    try:
        load(None, {}, {setting.key: text})
    except SettingsError as error:
        refusal = str(error)
    else:
        refusal = setting.flag
    assert setting.flag in refusal


@given(st.text())
def test_any_file_is_read_or_refused_with_a_settings_error(text: str) -> None:
    try:
        load(text, {}, {})
    except SettingsError as error:
        refusal = str(error)
    else:
        refusal = ""
    assert not refusal or "callwright.toml" in refusal or "tables" in refusal


def speech(text: str, *, development: bool = False) -> settings.SpeechSettings:
    return load(text, {}, {}, development=development).speech


CLOUDS = """
[speech.azure]
key = "canary-azure"
region = "westeurope"
[speech.google]
api_key = "canary-google"
[speech.polly]
access_key_id = "AKIDEXAMPLE"
secret_access_key = "canary-polly"
region = "eu-west-1"
[speech.piper]
voices = {"en-US" = "voices/en.onnx", "en-GB-M" = "/srv/alan.onnx"}
"""


@pytest.mark.parametrize("text", ["", "[speech]"])
def test_without_providers_the_local_engine_speaks(text: str) -> None:
    assert speech(text) == settings.SpeechSettings(("espeak",))


def test_providers_have_endpoints_and_an_order_of_their_own() -> None:
    loaded = speech(CLOUDS)
    assert loaded.order == ("azure", "google", "polly", "piper", "espeak")
    assert loaded.azure is not None
    assert loaded.google is not None
    assert loaded.polly is not None
    assert loaded.piper is not None
    assert (loaded.azure.key.reveal(), loaded.azure.endpoint) == (
        "canary-azure",
        "https://westeurope.tts.speech.microsoft.com",
    )
    assert loaded.google.endpoint == "https://texttospeech.googleapis.com"
    assert (loaded.polly.endpoint, loaded.polly.engine) == ("https://polly.eu-west-1.amazonaws.com", "neural")
    assert [(voice.locale, voice.gender, voice.path) for voice in loaded.piper.voices] == [
        ("en-US", None, "voices/en.onnx"),
        ("en-GB", "M", "/srv/alan.onnx"),
    ]
    assert speech('[speech]\norder = ["espeak", "polly", "azure", "piper", "google"]' + CLOUDS).order[0] == "espeak"
    assert "canary" not in repr(loaded)
    assert "AKID" not in repr(loaded)


def test_endpoints_are_replaced_for_other_clouds_and_for_loopback_in_development() -> None:
    azure = speech('[speech.azure]\nkey = "k"\nendpoint = "https://chinaeast2.tts.speech.azure.cn/"').azure
    assert azure is not None
    assert azure.endpoint == "https://chinaeast2.tts.speech.azure.cn"
    polly = speech(
        '[speech.polly]\naccess_key_id = "a"\nsecret_access_key = "b"\nregion = "cn-northwest-1"\nengine = "standard"'
    ).polly
    assert polly is not None
    assert (polly.endpoint, polly.engine) == ("https://polly.cn-northwest-1.amazonaws.com.cn", "standard")
    for host in ("127.0.0.1", "localhost", "[::1]"):
        text = f'[speech.google]\napi_key = "k"\nendpoint = "http://{host}:8080"'
        google = speech(text, development=True).google
        assert google is not None
        assert google.endpoint == f"http://{host}:8080"
        with pytest.raises(SettingsError, match="must be https"):
            speech(text)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("speech = 1", "'speech' in callwright.toml is written as a table"),
        ("[speech]\nazure = 1", r"'azure' of \[speech\] in callwright.toml is written as a table"),
        ("[speech]\nordr = ['espeak']", r"key of \[speech\] in callwright.toml 'ordr'. Did you mean 'order'"),
        ("[speech]\norder = []", "'order' of .*empty"),
        ("[speech]\norder = 'espeak'", "'order' of .*not a list"),
        ("[speech]\norder = ['azur']", "'azur' is none of .*Did you mean 'azure'"),
        ("[speech]\norder = ['azure', 'espeak']", r"'azure' has no table. Add \[speech.azure\]"),
        ("[speech]\norder = ['espeak', 'espeak']", "twice"),
        ("[speech]\norder = ['espeak']\n[speech.google]\napi_key = 'k'", "'google' is not in the order"),
        ("[speech.azure]\nregion = 'westeurope'", "'key' of .speech.azure. in callwright.toml: it is missing"),
        ("[speech.azure]\nkey = 'canary'", "'region' of .*either"),
        ("[speech.azure]\nkey = 'canary'\nregion = 'a'\nendpoint = 'https://a.example'", "'a' is not the name"),
        ("[speech.azure]\nkey = 'canary'\nregion = 'west'\nendpoint = 'https://a.example'", "either"),
        ("[speech.azure]\nkey = 'canary'\nregion = 'evil.example.com/x'", "not the name of a region"),
        ("[speech.azure]\nkey = 'canary canary'\nregion = 'westeurope'", "'key' of .*without spaces"),
        ("[speech.azure]\nkey = 'canary\u2026'\nregion = 'westeurope'", "visible ASCII"),
        ("[speech.azure]\nkey = 5\nregion = 'westeurope'", "'key' of .*not text"),
        ("[speech.azure]\nkee = 'canary'", "'kee'. Did you mean 'key'"),
        ("[speech.google]\napi_key = 'k'\nendpoint = 'http://speech.example.com'", "must be https"),
        ("[speech.google]\napi_key = 'k'\nendpoint = 'https://canary@speech.example.com'", "not a URL such as"),
        ("[speech.google]\napi_key = 'k'\nendpoint = 'https://speech.example.com/?key=canary'", "not a URL such as"),
        ("[speech.google]\napi_key = 'k'\nendpoint = 'ftp://speech.example.com'", "not a URL such as"),
        ("[speech.polly]\naccess_key_id = 'a'\nsecret_access_key = 'b'", "'region' of .*missing"),
        ("[speech.polly]\nregion = 'ireland'", "not the name of a region"),
        ("[speech.polly]\naccess_key_id = 'a'\nregion = 'eu-west-1'", "'secret_access_key' of .*missing"),
        ("[speech.polly]\nregion = 'eu-west-1'\nengine = 'neurl'", "Did you mean 'neural'"),
        ("[speech.piper]", "'voices' of .*missing"),
        ("[speech.piper]\nvoices = {}", "'voices' of .*missing"),
        ("[speech.piper]\nvoices = 'a.onnx'", "not a table of texts"),
        ("[speech.piper]\nvoices = {english = 'a.onnx'}", "'english' is not a language and country"),
        ("[speech.piper]\nvoices = {en-US-X = 'a.onnx'}", "'en-US-X' is not"),
        ("[speech.piper]\nvoices = {en-US = 'a.onnx'}\nworkers = 0", "'workers' of .*from 1 to 16"),
        ("[speech.piper]\nvoices = {en-US = 'a.onnx'}\nworkers = true", "'workers' of .*from 1 to 16"),
    ],
)
def test_wrong_speech_tables_are_refused_without_quoting_a_key(text: str, complaint: str) -> None:
    with pytest.raises(SettingsError, match=complaint) as refused:
        load(text, {}, {}, development=True)
    assert "canary" not in str(refused.value)


def test_speech_is_set_in_the_file_only() -> None:
    with pytest.raises(SettingsError, match="unknown environment variable"):
        load(None, {"CALLWRIGHT_SPEECH": "azure"}, {})
