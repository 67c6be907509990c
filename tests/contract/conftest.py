"""A callflow request of the API's tutorial, taken apart and put together again by the tests of this room."""

import json
from collections.abc import Callable

import pytest

from callwright.callflow.plan import Callflow
from callwright.contract.policy import RequestPolicy
from callwright.contract.request import parse_callflow
from callwright.errors import ContractError

NOW = 1_719_986_400.0
"2024-07-03T06:00:00Z"

Json = dict[str, object]


class Request:
    """A request under test: `flow` and `fields` are its parts, `parse` and `refused` hand it in."""

    def __init__(self) -> None:
        self.fields: Json = {}
        self.policy = RequestPolicy()

    def call(self, **params: object) -> Json:
        return {"action": "makeCall", "params": {"source": "+6512341234", "destination": "+6512345678"} | params}

    def say(self, **params: object) -> Json:
        spoken = {"text": "Hello, this is a test Voice Message.", "voiceProfile": "en-IE-EmilyNeural"}
        return {"action": "say", "params": spoken | params}

    def capture(self, **params: object) -> Json:
        spoken = {"promptMessage": "Press one.", "voiceProfile": "en-US-BenjaminRUS"}
        return {"action": "sayAndCapture", "params": spoken | params}

    def play(self, **params: object) -> Json:
        return {"action": "playFile", "params": {"fileUrl": "https://example.com/wave.mp3"} | params}

    def without(self, action: Json, *names: str) -> Json:
        params = action["params"]
        assert isinstance(params, dict)
        return action | {"params": {name: value for name, value in params.items() if name not in names}}

    def parse(self, *flow: object, now: float = NOW) -> Callflow:
        return self.parse_body(json.dumps({"callflow": list(flow)} | self.fields).encode(), now)

    def parse_body(self, body: bytes, now: float = NOW) -> Callflow:
        return parse_callflow(body, self.policy, now, "0a1b2c3d-376b-11ef-a28b-0582ff0039d5")

    def refused(self, *flow: object, now: float = NOW) -> tuple[int, int, str]:
        return self.refusal_of(lambda: self.parse(*flow, now=now))

    def body_refused(self, body: bytes) -> tuple[int, int, str]:
        return self.refusal_of(lambda: self.parse_body(body))

    def refusal_of(self, hand_in: Callable[[], object]) -> tuple[int, int, str]:
        """statusCode, HTTP status and statusMessage of the refusal."""
        with pytest.raises(ContractError) as caught:
            hand_in()
        return caught.value.status_code, caught.value.http_status, caught.value.message


@pytest.fixture
def request_of() -> Request:
    return Request()
