"""The HTTP API as one ASGI application: which path leads to which route, and in what form it answers errors."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Route

from callwright.api.described.document import document
from callwright.api.errors import (
    Edge,
    Endpoint,
    ErrorForm,
    callflow_form,
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
    verifications,
    webhooks,
)

_OWN = "/api/v1/subaccounts/{sub_account_id}"
_VERIFICATIONS = "/api/v2/subaccounts/{sub_account_id}/sessions"
_PUSH_CONFIG = f"{_OWN}/recording-push-config"
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


def create_app(platform: Platform) -> Starlette:
    """The application for one platform."""
    answered = platform.metrics.counter(
        "callwright_http_answers_total",
        "HTTP answers by route and status; status 0 went unanswered",
        ("route", "status"),
    )
    routes = []
    for name, method, path, endpoint, form in ROUTES:
        route = Route(path, Edge(name, endpoint, form, platform, answered), methods=[method], name=name)
        route.methods = {method}  # Starlette adds HEAD to GET, and an event stream without events never ends
        routes.append(route)
    app = Starlette(routes=routes, exception_handlers={HTTPException: no_such_route})
    app.state.openapi = openapi_document()
    app.router.redirect_slashes = False  # a redirect would turn a POST into a surprise
    return app
