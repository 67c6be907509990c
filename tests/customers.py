"""A customer of callwright for whole-call tests: sends callflows, serves files, receives and checks summaries."""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

import httpx
from tests.web import Request, respond, web_server

T = TypeVar("T")
Json = dict[str, Any]

PATIENCE_SECONDS = 60.0
"""How long something that must happen may take on a busy machine before the test says that it did not."""
CALLER = "+6531350000"
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
SECONDS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


class News:
    """Something happens from time to time; whoever waits looks again."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Event] = set()

    def tell(self) -> None:
        for waiting in self._waiting:
            waiting.set()

    async def until(self, look: Callable[[], T | None]) -> T:
        """What `look` finds, as soon as it finds something."""
        news = asyncio.Event()
        self._waiting.add(news)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while (found := look()) is None:
                    news.clear()
                    await news.wait()
            return found
        finally:
            self._waiting.discard(news)


# --- the web: files to fetch, webhooks to receive ---------------------------------------------------------------------


@dataclass
class Page:
    """What a GET is answered with."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    release: asyncio.Event | None = None
    "the answer waits for it"


@dataclass(frozen=True)
class Posted:
    """A POST that arrived."""

    path: str
    headers: Mapping[str, str]
    body: Any
    raw: bytes = b""
    "the body as it came"


class Web:
    """A small HTTP server of the customer's: serves `pages`, keeps what is posted."""

    def __init__(self) -> None:
        self.pages: dict[str, Page] = {}
        self.fetched: list[str] = []
        self.posted: list[Posted] = []
        self.answers: list[int] = []
        "statuses of the next POSTs; 200 when it is empty"
        self.news = News()
        self._port = 0

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self._port}{path}"

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[Self]:
        async with web_server(self._answer) as self._port:
            yield self

    async def _answer(self, request: Request, writer: asyncio.StreamWriter) -> None:
        if request.method == "POST":
            self.posted.append(Posted(request.path, request.headers, json.loads(request.body), request.body))
            page = Page(b"{}", self.answers.pop(0) if self.answers else 200)
        else:
            self.fetched.append(request.path)
            page = self.pages.get(request.path, Page(b"not here", 404))
        self.news.tell()
        if page.release is not None:
            await page.release.wait()
        await respond(writer, page.body, page.status, page.headers)


def check_summary(body: Json, session_id: str, sub_account: str) -> Json:
    """A session summary's form, field by field as contract §5 has it; returns the payload."""
    assert set(body) == {"payload", "namespace", "eventType", "description", "version"}
    assert (body["namespace"], body["eventType"], body["version"]) == ("VOICE", "SESSION_SUMMARY", 5)
    assert body["description"] == "Summary of a completed call session"
    payload: Json = body["payload"]
    required = {"sessionId", "subAccountId", "sessionStatus", "startTime", "endTime", "lastAction", "callCount"}
    assert required | {"details"} <= set(payload) <= required | {"details", "errorDetails", "clientRequestId"}
    assert (payload["sessionId"], payload["subAccountId"]) == (session_id, sub_account)
    assert payload["sessionStatus"] in {"COMPLETED", "NO_ANSWER", "BUSY", "CANCELED", "FAILED", "ERROR"}
    assert payload["lastAction"] in {"MAKE_CALL", "SAY", "PLAY_FILE", "SAY_AND_CAPTURE", "HANGUP"}
    assert SECONDS.fullmatch(payload["startTime"])
    assert SECONDS.fullmatch(payload["endTime"])
    assert ("errorDetails" in payload) == (payload["sessionStatus"] == "ERROR")
    if "errorDetails" in payload:
        assert {"errorMsg", "errorCode"} <= set(payload["errorDetails"]) <= {
            "errorMsg", "errorCode", "action", "callFlowRequestId",
        }  # fmt: skip
        assert isinstance(payload["errorDetails"]["errorCode"], int)
    assert payload["callCount"] == len(payload["details"])
    for leg in payload["details"].values():
        _check_leg(leg)
    return payload


def _check_leg(leg: Json) -> None:
    """§5.3"""
    required = {
        "callId", "callDirection", "callType", "initiatedTimestamp", "disconnectedTimestamp", "source", "destination",
        "sourceFormat", "destinationFormat", "sourceCountryCode", "destinationCountryCode", "callStatus",
        "callDuration",
    }  # fmt: skip
    reference = "destinationRefId" if leg["callDirection"] == "INBOUND" else "sourceRefId"
    assert required <= set(leg) <= required | {"connectedTimestamp", "callQuality", reference}
    assert UUID.fullmatch(leg["callId"])
    assert leg["callDirection"] in {"INBOUND", "OUTBOUND"}
    assert leg["callType"] == "PSTN"
    assert (leg["sourceFormat"], leg["destinationFormat"]) == ("MSISDN", "MSISDN")
    assert all(SECONDS.fullmatch(value) for name, value in leg.items() if name.endswith("Timestamp"))
    assert isinstance(leg["callDuration"], int)
    assert leg["callStatus"] != "COMPLETED" or "connectedTimestamp" in leg
    # A caller who heard ringback and left before anybody answered was connected, and is CANCELED (§5.4).
    assert "connectedTimestamp" not in leg or (leg["callStatus"] == "COMPLETED" or leg["callDirection"] == "INBOUND")
    if "connectedTimestamp" not in leg:
        assert leg["callDuration"] == 0
        assert "callQuality" not in leg
    if "callQuality" in leg:
        assert set(leg["callQuality"]) == {"mos", "packetLossRate", "jitter"}
        assert 1.0 <= leg["callQuality"]["mos"] <= 4.5
        assert 0.0 <= leg["callQuality"]["packetLossRate"] <= 1.0
        assert isinstance(leg["callQuality"]["jitter"], int)


# --- a customer -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Happened:
    """One entry of a session's trace, as the API gives it."""

    kind: str
    at: float
    fields: Json


class Story:
    """The trace of a session that is over."""

    def __init__(self, entries: list[Happened]) -> None:
        self.entries = entries

    @property
    def kinds(self) -> list[str]:
        return [happened.kind for happened in self.entries]

    def at(self, kind: str, place: int = 0) -> float:
        """When the first entry of a kind was made, or the one after so many."""
        return [happened.at for happened in self.entries if happened.kind == kind][place]

    def all(self, kind: str) -> list[Json]:
        return [happened.fields for happened in self.entries if happened.kind == kind]

    def only(self, kind: str) -> Json:
        """The fields of the one entry of a kind."""
        (fields,) = self.all(kind)
        return fields

    @property
    def spoken(self) -> list[str]:
        """The keys of all texts, in the order in which they were asked for: `speech.cache` has that of readiness."""
        return [str(chosen["key"]) for chosen in self.all("speech.voice")]

    @property
    def skipped_ms(self) -> int:
        """How much of the messages was never sent, because this machine was too busy to send it in time."""
        return sum(20 * int(report["late_frames"]) for report in self.all("rtp.report"))

    @property
    def ladder(self) -> list[str]:
        """The SIP messages: `→ INVITE`, `← 180 INVITE`."""
        steps = []
        for happened in self.entries:
            if happened.kind in ("sip.sent", "sip.received"):
                words = str(happened.fields["line"]).split()
                method = str(happened.fields["cseq"]).split()[-1]
                arrow = "→" if happened.kind == "sip.sent" else "←"
                steps.append(f"{arrow} {words[1]} {method}" if words[0] == "SIP/2.0" else f"{arrow} {words[0]}")
        return steps


class Customer:
    """Somebody with a key: sends callflows by HTTP and receives the summaries on a web server."""

    def __init__(self, base_url: str, sub_account: str, key: str, web: Web) -> None:
        self.sub_account = sub_account
        self.key = key
        self.web = web
        self.http = httpx.AsyncClient(
            base_url=f"{base_url}/api/v1/subaccounts/{sub_account}",
            headers={"Authorization": f"Bearer {key}"},
            timeout=PATIENCE_SECONDS,
            trust_env=False,
        )

    async def want_summaries(self) -> None:
        """Register the web server for VSS."""
        url = self.web.url("/vss")
        answer = await self.http.post("/webhooks", json={"type": "VSS", "url": url, "httpAuthHeader": "Basic Zm9v"})
        assert answer.status_code == 200, answer.text

    async def send(self, *actions: Json, **more: object) -> str:
        """Post a callflow; checks the answer's form (contract §1.5) and returns the session id."""
        answer = await self.http.post("/callflows", json={"callflow": list(actions), **more})
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert set(body) == {
            "sessionId", "sessionStatus", "callFlowRequestId", "statusCode", "statusMessage",
        } | {"validUntil"} & set(more)  # fmt: skip
        assert (body["sessionStatus"], body["statusCode"], body["statusMessage"]) == ("CREATED", 1, "Created")
        assert UUID.fullmatch(body["callFlowRequestId"])
        session_id: str = body["sessionId"]
        assert UUID.fullmatch(session_id)
        return session_id

    async def say(self, number: str, text: str, **more: object) -> str:
        """Call a number, say something and hang up; returns the session id."""
        params = {"text": text, "voiceProfile": "en-IE-EmilyNeural", **more}
        return await self._message(number, {"action": "say", "params": params})

    async def play(self, number: str, url: str, **more: object) -> str:
        """Call a number, play a file and hang up; returns the session id."""
        return await self._message(number, {"action": "playFile", "params": {"fileUrl": url, **more}})

    async def _message(self, number: str, message: Json) -> str:
        call = {"action": "makeCall", "params": {"source": CALLER, "destination": number}}
        return await self.send(call, message, {"action": "hangup"})

    def summaries_of(self, session_id: str) -> list[Posted]:
        return [posted for posted in self.web.posted if posted.body["payload"]["sessionId"] == session_id]

    async def summary(self, session_id: str) -> Json:
        """Wait for the session's summary, check its form and return its payload."""
        posted = await self.web.news.until(lambda: next(iter(self.summaries_of(session_id)), None))
        assert posted.path == "/vss"
        assert posted.headers["content-type"] == "application/json"
        assert posted.headers["authorization"] == "Basic Zm9v"
        assert posted.headers["webhook-id"]
        return check_summary(posted.body, session_id, self.sub_account)

    async def happenings(self, session_id: str) -> AsyncGenerator[Happened, None]:
        """What happened so far and what happens, until the session is over."""
        async with self.http.stream("GET", f"/sessions/{session_id}/events") as answer:
            assert answer.status_code == 200
            name = ""
            async for line in answer.aiter_lines():
                what, _, value = line.partition(": ")
                if what == "event":
                    name = value
                elif what == "data" and name == "trace":
                    data = json.loads(value)
                    yield Happened(data["kind"], data["at"], data["fields"])

    async def until(self, session_id: str, kind: str) -> Happened:
        """Follow a session until something of `kind` happens."""
        async with contextlib.aclosing(self.happenings(session_id)) as happenings:
            async for happened in happenings:
                if happened.kind == kind:
                    return happened
        raise AssertionError(f"the session ended without {kind}")

    async def story(self, session_id: str) -> Story:
        """The whole trace; of a finished session it comes from the store."""
        return Story([happened async for happened in self.happenings(session_id)])
