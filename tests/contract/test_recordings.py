"""Recording push configs (§9.3), file names and statuses (§9.4), the VRU webhook (§8.2)."""

import json
from dataclasses import replace

import pytest

from callwright.contract.recordings import (
    Recording,
    RecordingPushConfig,
    RecordingStatus,
    S3Target,
    external_file_url,
    is_session_id,
    parse_push_config,
    push_config,
    recording_list,
    recording_path,
    recording_updated,
    s3_target,
)
from callwright.errors import ContractError

SFTP = {
    "protocol": "SFTP",
    "host": "192.0.2.61",
    "port": 22,
    "username": "myusername",
    "password": "mypassword",
    "path": "/my-recordings-path/",
}
S3 = SFTP | {"protocol": "S3", "host": "ap-southeast-2", "port": 13}
SESSION = "e35e3d0e-065a-11ec-b119-676cb2bc33ef"
RECORDING = "eef54fc2-065a-11ec-bce9-ed1000154345"
STARTED = 1629974816.535
"2021-08-26T10:46:56.535Z"
NAME = f"{SESSION}/{RECORDING}_2021-08-26T10:46:56.535Z.mp3"
ENCODED = f"{SESSION}/{RECORDING}_2021-08-26T10%3A46%3A56.535Z.mp3"
PRINTABLE = "may not hold control characters"


def parsed(fields: dict[str, object]) -> RecordingPushConfig:
    return parse_push_config(json.dumps(fields).encode())


def without(*names: str) -> dict[str, object]:
    return {name: value for name, value in SFTP.items() if name not in names}


# -- the config --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param(
            SFTP,
            RecordingPushConfig("SFTP", "192.0.2.61", 22, "myusername", "mypassword", "/my-recordings-path/"),
            id="§9.3 SFTP",
        ),
        pytest.param(
            S3,
            RecordingPushConfig("S3", "ap-southeast-2", 13, "myusername", "mypassword", "/my-recordings-path/"),
            id="§9.3 S3",
        ),
        pytest.param(
            SFTP | {"port": None, "path": ""},
            RecordingPushConfig("SFTP", "192.0.2.61", 22, "myusername", "mypassword", ""),
            id="SFTP defaults",
        ),
        pytest.param(
            SFTP | {"host": "2001:db8::7"},
            RecordingPushConfig("SFTP", "2001:db8::7", 22, "myusername", "mypassword", "/my-recordings-path/"),
            id="SFTP over IPv6",
        ),
        pytest.param(
            S3 | {"host": "http://192.0.2.7:9000", "port": None},
            RecordingPushConfig("S3", "http://192.0.2.7:9000", 443, "myusername", "mypassword", "/my-recordings-path/"),
            id="another store",
        ),
        pytest.param(
            {"protocol": "LOCAL", "path": "calls"},
            RecordingPushConfig("LOCAL", "", None, "", "", "calls"),
            id="§13 row 30 local extension",
        ),
        pytest.param(
            SFTP | {"audioFormat": "wav"},
            RecordingPushConfig("SFTP", "192.0.2.61", 22, "myusername", "mypassword", "/my-recordings-path/", "wav"),
            id="a wav, extension",
        ),
        pytest.param(
            {"protocol": "LOCAL", "path": "calls", "audioFormat": None},
            RecordingPushConfig("LOCAL", "", None, "", "", "calls", "mp3"),
            id="no format",
        ),
    ],
)
def test_a_config_is_read(fields: dict[str, object], expected: RecordingPushConfig) -> None:
    assert parsed(fields) == expected


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        pytest.param({}, "$.protocol: is missing but it is required", id="protocol missing"),
        pytest.param(
            SFTP | {"protocol": "ftp"},
            "$.protocol: does not have a value in the enumeration [S3, SFTP, LOCAL]",
            id="§13 row 30 ftp",
        ),
        pytest.param(without("host"), "$.host: is missing but it is required", id="host missing"),
        pytest.param(without("username"), "$.username: is missing but it is required", id="username missing"),
        pytest.param(without("password"), "$.password: is missing but it is required", id="password missing"),
        pytest.param(without("path"), "$.path: is missing but it is required", id="path missing"),
        pytest.param(SFTP | {"username": ""}, "$.username: must be at least 1 characters long", id="username empty"),
        pytest.param(SFTP | {"port": 0}, "$.port: must have a minimum value of 1", id="port 0"),
        pytest.param(SFTP | {"port": 65536}, "$.port: must have a maximum value of 65535", id="port 65536"),
        pytest.param(SFTP | {"port": "22"}, "$.port: string found, integer expected", id="port text"),
        pytest.param(
            SFTP | {"host": "a b"},
            "$.host: does not match the regex pattern [A-Za-z0-9._:\\-]+",
            id="host with a blank",
        ),
        pytest.param(
            SFTP | {"host": "sftp://example.com"},
            "$.host: does not match the regex pattern [A-Za-z0-9._:\\-]+",
            id="SFTP host with a scheme",
        ),
        pytest.param(
            S3 | {"host": "http://s3.example.com:70000"}, "$.host: has a port that does not exist", id="endpoint port"
        ),
        pytest.param(
            S3 | {"host": "http://a@example.com/"},
            "$.host: does not match the regex pattern (?:https?://)?[A-Za-z0-9._\\-]+(?::[0-9]{1,5})?/?",
            id="endpoint with a login",
        ),
        pytest.param(S3 | {"path": "/"}, "$.path: must begin with a bucket name", id="S3 without a bucket"),
        pytest.param(S3 | {"path": "Big Bucket"}, "$.path: must begin with a bucket name", id="S3 no bucket name"),
        pytest.param(SFTP | {"path": "a/../b"}, "$.path: may not lead upwards", id="path upwards"),
        pytest.param({"protocol": "LOCAL", "path": "../x"}, "$.path: may not lead upwards", id="local path upwards"),
        pytest.param(SFTP | {"path": "a\nb"}, f"$.path: {PRINTABLE}", id="path with a line end"),
        pytest.param(SFTP | {"password": "a\x00"}, f"$.password: {PRINTABLE}", id="password with a control"),
        pytest.param(
            SFTP | {"audioFormat": "WAV"},
            "$.audioFormat: does not have a value in the enumeration [mp3, wav]",
            id="format unknown",
        ),
        pytest.param(
            {"protocol": "LOCAL", "path": "", "audioFormat": 1},
            "$.audioFormat: integer found, string expected",
            id="format a number",
        ),
        pytest.param(SFTP | {"path": "x" * 1025}, "$.path: may only be 1024 characters long", id="path too long"),
    ],
)
def test_a_wrong_config_is_refused(fields: dict[str, object], words: str) -> None:
    with pytest.raises(ContractError) as caught:
        parsed(fields)
    assert (caught.value.status_code, caught.value.http_status) == (1001, 422)
    assert caught.value.message == f"Invalid JSON request body. {words}"


def test_a_config_that_is_no_json_is_refused() -> None:
    for body, http_status in ((b"", 422), (b"{", 422), (b" " * 300_000, 413)):
        with pytest.raises(ContractError) as caught:
            parse_push_config(body)
        assert (caught.value.status_code, caught.value.http_status) == (1001, http_status)
        assert caught.value.message == "Invalid JSON request body"


def test_a_config_is_answered_without_its_password() -> None:  # §9.3
    answer = {
        "subAccountId": "riders_hq",
        "protocol": "SFTP",
        "host": "192.0.2.61",
        "port": 22,
        "username": "myusername",
        "passwordSet": True,
        "path": "/my-recordings-path/",
        "statusCode": 0,
        "statusMessage": "ok",
    }
    assert push_config("riders_hq", parsed(SFTP)) == answer
    assert push_config("riders_hq", parsed(SFTP), deleted=False) == answer | {"delete": False}
    assert push_config("riders_hq", parsed(SFTP), deleted=True) == answer | {"delete": True}
    assert "mypassword" not in repr(parsed(SFTP))


def test_a_local_config_has_no_password() -> None:
    assert push_config("riders_hq", parsed({"protocol": "LOCAL", "path": ""}))["passwordSet"] is False


# -- names -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("/my-recordings-path/", f"/my-recordings-path/{NAME}"),
        ("/my-recordings-path", f"/my-recordings-path/{NAME}"),
        ("bucket/calls", f"bucket/calls/{NAME}"),
        ("/", f"/{NAME}"),
        ("", NAME),
    ],
)
def test_a_recordings_name_follows_the_rule(folder: str, expected: str) -> None:  # §9.4
    assert recording_path(folder, SESSION, RECORDING, STARTED) == expected


def test_a_name_may_have_a_date_folder_and_be_a_wav() -> None:  # §8.2 VRU sample
    path = recording_path("/calls", SESSION, RECORDING, STARTED, suffix="wav", date_folder=True)
    assert path == f"/calls/2021-08-26/{NAME.replace('.mp3', '.wav')}"


@pytest.mark.parametrize(
    ("fields", "target", "url"),
    [
        pytest.param(
            S3,
            S3Target(None, "ap-southeast-2", "my-recordings-path", ""),
            f"https://my-recordings-path.s3.ap-southeast-2.amazonaws.com/{ENCODED}",
            id="AWS",
        ),
        pytest.param(
            S3 | {"host": "us-gov-west-1", "path": "calls/2021"},
            S3Target(None, "us-gov-west-1", "calls", "2021"),
            f"https://calls.s3.us-gov-west-1.amazonaws.com/2021/{ENCODED}",
            id="AWS with a folder",
        ),
        pytest.param(
            S3 | {"host": "http://192.0.2.7:9000/", "path": "calls/a"},
            S3Target("http://192.0.2.7:9000", None, "calls", "a"),
            f"http://192.0.2.7:9000/calls/a/{ENCODED}",
            id="another store by URL",
        ),
        pytest.param(
            S3 | {"host": "s3.example.com", "port": None, "path": "calls"},
            S3Target("https://s3.example.com", None, "calls", ""),
            f"https://s3.example.com/calls/{ENCODED}",
            id="another store by name",
        ),
        pytest.param(
            S3 | {"host": "s3.example.com", "port": 9000, "path": "calls"},
            S3Target("https://s3.example.com:9000", None, "calls", ""),
            f"https://s3.example.com:9000/calls/{ENCODED}",
            id="another store by name and port",
        ),
        pytest.param(
            S3 | {"host": "http://s3.example.com", "port": 80, "path": "calls"},
            S3Target("http://s3.example.com", None, "calls", ""),
            f"http://s3.example.com/calls/{ENCODED}",
            id="another store, plain",
        ),
    ],
)
def test_an_s3_config_means_a_bucket_somewhere(fields: dict[str, object], target: S3Target, url: str) -> None:
    config = parsed(fields)
    assert s3_target(config) == target
    assert external_file_url(config, recording_path(config.path, SESSION, RECORDING, STARTED)) == url


@pytest.mark.parametrize(
    ("fields", "url"),
    [
        (SFTP, f"sftp://192.0.2.61/my-recordings-path/{ENCODED}"),
        (SFTP | {"port": 2222, "path": ""}, f"sftp://192.0.2.61:2222/{ENCODED}"),
        (SFTP | {"host": "2001:db8::7", "path": "a b"}, f"sftp://[2001:db8::7]/a%20b/{ENCODED}"),
        ({"protocol": "LOCAL", "path": "/calls"}, f"calls/{ENCODED}"),
    ],
)
def test_a_file_has_a_url(fields: dict[str, object], url: str) -> None:
    config = parsed(fields)
    assert external_file_url(config, recording_path(config.path, SESSION, RECORDING, STARTED)) == url


# -- statuses ----------------------------------------------------------------------------------------------------------

DONE = Recording(
    RECORDING, SESSION, "riders_hq", RecordingStatus.CALLBACK_COMPLETED, STARTED, "https://example.com/a.mp3", 25
)


def test_a_sessions_recordings_are_listed() -> None:  # §9.4, §13 row 25
    assert recording_list([DONE]) == {
        "recordings": [
            {
                "recordingId": RECORDING,
                "sessionId": SESSION,
                "subAccountId": "riders_hq",
                "status": "CALLBACK_COMPLETED",
                "externalFileUrl": "https://example.com/a.mp3",
                "duration": 25,
                "startRecordingTime": "2021-08-26T10:46:56.535Z",
            }
        ],
        "statusCode": 0,
        "statusMessage": "ok",
    }
    assert recording_list([])["recordings"] == []


def test_a_recording_in_work_has_no_duration() -> None:
    listed = recording_list([Recording(RECORDING, SESSION, "riders_hq", RecordingStatus.PROCESSING, STARTED)])
    assert listed["recordings"] == [
        {
            "recordingId": RECORDING,
            "sessionId": SESSION,
            "subAccountId": "riders_hq",
            "status": "PROCESSING",
            "externalFileUrl": None,
            "startRecordingTime": "2021-08-26T10:46:56.535Z",
        }
    ]


def test_the_statuses_are_the_documented_ones() -> None:
    documented = (
        "PROCESSING PROCESSING_FAILED UPLOAD_COMPLETED UPLOAD_FAILED CALLBACK_COMPLETED CALLBACK_FAILED UNKNOWN"
    )
    assert [status.value for status in RecordingStatus] == documented.split()


@pytest.mark.parametrize("status", [RecordingStatus.UPLOAD_COMPLETED, RecordingStatus.UPLOAD_FAILED])
def test_an_uploads_end_is_told(status: RecordingStatus) -> None:  # §8.2 VRU
    assert recording_updated(replace(DONE, status=status), f"/calls/{NAME}") == {
        "payload": {
            "sessionId": SESSION,
            "recordingId": RECORDING,
            "durationSeconds": 25,
            "filePath": f"/calls/{NAME}",
            "status": status.value,
        },
        "namespace": "VOICE",
        "eventType": "CALL_RECORDING_STATUS",
        "description": "Call recording status updated",
    }


@pytest.mark.parametrize(
    ("text", "is_one"),
    [(SESSION, True), (SESSION.upper(), True), (SESSION[1:], False), (SESSION + "\n", False), ("", False)],
)
def test_a_path_names_a_session(text: str, is_one: bool) -> None:
    assert is_session_id(text) is is_one
