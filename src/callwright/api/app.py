"""The HTTP API as one ASGI application: which path leads to which route, and in what form it answers errors."""

import re

from callwright.api.asgi import ASGIApp, Receive, Scope, Send
from callwright.api.described.document import document
from callwright.api.errors import (
    Edge,
    Endpoint,
    ErrorForm,
    callflow_form,
    no_such_method,
    no_such_route,
    number_form,
    plain_form,
    platform_form,
    problem_form,
    webhook_form,
)
from callwright.api.platform import Platform
from callwright.api.routes import (
    callflows,
    calls,
    deliveries,
    event_feed,
    events,
    exports,
    health,
    metrics,
    numbers,
    openapi,
    recordings,
    sessions,
    speech_profiles,
    trunks,
    verifications,
    webhooks,
)

_OWN = "/api/v1/subaccounts/{sub_account_id}"
_VERIFICATIONS = "/api/v2/subaccounts/{sub_account_id}/sessions"
_PUSH_CONFIG = f"{_OWN}/recording-push-config"
_TRUNKS = "/api/v1/trunks"
_EXPORTS = f"{_OWN}/messages/exports"

# The busiest first: routes are tried in this order.
ROUTES: tuple[tuple[str, str, str, Endpoint, ErrorForm], ...] = (
    ("send_callflow", "POST", f"{_OWN}/callflows", callflows.send_callflow, callflow_form),
    ("ask_verification", "POST", _VERIFICATIONS, verifications.ask_verification, platform_form),
    (
        "check_verification",
        "GET",
        f"{_VERIFICATIONS}/{{session_id}}",
        verifications.check_verification,
        platform_form,
    ),
    ("send_call", "POST", f"{_OWN}/calls", calls.send_call, callflow_form),
    ("list_webhooks", "GET", f"{_OWN}/webhooks", webhooks.list_webhooks, plain_form),
    ("put_webhook", "POST", f"{_OWN}/webhooks", webhooks.put_webhook, webhook_form),
    ("delete_webhook", "DELETE", f"{_OWN}/webhooks/{{kind}}", webhooks.delete_webhook, plain_form),
    ("show_webhook", "GET", f"{_OWN}/webhooks/{{kind}}", deliveries.show_webhook, problem_form),
    ("rotate_secret", "POST", f"{_OWN}/webhooks/{{kind}}/secrets", deliveries.rotate_secret, problem_form),
    ("test_webhook", "POST", f"{_OWN}/webhooks/{{kind}}/test", deliveries.test_webhook, problem_form),
    ("list_deliveries", "GET", f"{_OWN}/deliveries", deliveries.list_deliveries, problem_form),
    ("replay_deliveries", "POST", f"{_OWN}/deliveries/replay", deliveries.replay_deliveries, problem_form),
    ("list_speech_profiles", "GET", f"{_OWN}/speech-profiles", speech_profiles.list_speech_profiles, plain_form),
    ("list_numbers", "GET", f"{_OWN}/numbers", numbers.list_numbers, plain_form),
    ("show_number", "GET", f"{_OWN}/numbers/{{number}}", numbers.show_number, number_form),
    ("show_push_config", "GET", _PUSH_CONFIG, recordings.show_push_config, plain_form),
    ("put_push_config", "POST", _PUSH_CONFIG, recordings.put_push_config, webhook_form),
    ("delete_push_config", "DELETE", _PUSH_CONFIG, recordings.delete_push_config, plain_form),
    ("list_recordings", "GET", f"{_OWN}/recordings/{{session_id}}", recordings.list_recordings, plain_form),
    ("start_export", "POST", _EXPORTS, exports.start_export, platform_form),
    ("show_export", "GET", f"{_EXPORTS}/{{job_id}}", exports.show_export, platform_form),
    ("cancel_export", "DELETE", f"{_EXPORTS}/{{job_id}}", exports.cancel_export, platform_form),
    ("download_export", "GET", f"{_OWN}/messages/download/{{token}}", exports.download_export, platform_form),
    ("list_sessions", "GET", f"{_OWN}/sessions", sessions.list_sessions, problem_form),
    ("show_session", "GET", f"{_OWN}/sessions/{{session_id}}", sessions.show_session, problem_form),
    ("hang_up_session", "DELETE", f"{_OWN}/sessions/{{session_id}}", sessions.hang_up_session, problem_form),
    ("follow_session", "GET", f"{_OWN}/sessions/{{session_id}}/events", events.follow_session, problem_form),
    ("list_trunks", "GET", _TRUNKS, trunks.list_trunks, problem_form),
    ("show_trunk", "GET", f"{_TRUNKS}/{{trunk_name}}", trunks.show_trunk, problem_form),
    ("put_trunk", "PUT", f"{_TRUNKS}/{{trunk_name}}", trunks.put_trunk, problem_form),
    ("change_trunk", "PATCH", f"{_TRUNKS}/{{trunk_name}}", trunks.change_trunk, problem_form),
    ("delete_trunk", "DELETE", f"{_TRUNKS}/{{trunk_name}}", trunks.delete_trunk, problem_form),
    ("try_trunk", "POST", f"{_TRUNKS}/{{trunk_name}}/test", trunks.try_trunk, problem_form),
    ("follow_events", "GET", f"{_OWN}/events", event_feed.follow_events, problem_form),
    ("healthz", "GET", "/healthz", health.healthz, plain_form),
    ("readyz", "GET", "/readyz", health.readyz, plain_form),
    ("openapi", "GET", "/openapi.json", openapi.show_openapi, plain_form),
    ("metrics", "GET", "/metrics", metrics.metrics, plain_form),
)
"""Name (also in metrics), method, path, endpoint, form of its errors."""


def openapi_document() -> dict[str, object]:
    """The OpenAPI document of all routes."""
    return document((name, method, path) for name, method, path, _, _ in ROUTES)


class Api:
    """The application for one platform."""

    def __init__(self, platform: Platform) -> None:
        self.openapi = openapi_document()
        answered = platform.metrics.counter(
            "callwright_http_answers_total",
            "HTTP answers by route and status; status 0 went unanswered",
            ("route", "status"),
        )
        by_path: dict[str, dict[str, ASGIApp]] = {}
        for name, method, path, endpoint, form in ROUTES:
            by_path.setdefault(path, {})[method] = Edge(name, endpoint, form, platform, answered)
        self._routes = [(_pattern(path), methods) for path, methods in by_path.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. HEAD is not GET here: an event stream without events would never end."""
        path, method = scope["path"], scope["method"]
        for pattern, methods in self._routes:
            found = pattern.fullmatch(path)
            if found is not None:
                scope["app"], scope["path_params"] = self, found.groupdict()
                answer = methods.get(method) or no_such_method(methods)
                await answer(scope, receive, send)
                return
        await no_such_route()(scope, receive, send)


def _pattern(path: str) -> re.Pattern[str]:
    """What a path looks like; `{name}` is one part of it, that may be anything."""
    parts = re.split(r"\{(\w+)\}", path)
    return re.compile(
        "".join(f"(?P<{part}>[^/]+)" if index % 2 else re.escape(part) for index, part in enumerate(parts))
    )
