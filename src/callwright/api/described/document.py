"""The OpenAPI 3.1 document, put together from `app.ROUTES` and the descriptions."""

import re
from collections.abc import Iterable

from callwright.api.described.answers import ANSWERS
from callwright.api.described.operations import (
    JSON,
    OPERATIONS,
    PARAMETERS,
    REASONS,
    WIRE_NAMES,
    Form,
    Operation,
)
from callwright.api.described.requests import REQUESTS
from callwright.api.described.shorthand import ref

VERSION = "1.0"
_PLACE = re.compile(r"\{(\w+)\}")
_PROBLEM = "application/problem+json"


def document(routes: Iterable[tuple[str, str, str]]) -> dict[str, object]:
    """The document for routes of name, method and path. KeyError for one that nobody described."""
    paths: dict[str, dict[str, object]] = {}
    for name, method, path in routes:
        operation, places = OPERATIONS[name], _places(name, path)
        wire_path = path
        for inside, place in places.items():
            wire_path = wire_path.replace(f"{{{inside}}}", f"{{{WIRE_NAMES.get(place, place)}}}")
        paths.setdefault(wire_path, {})[method.lower()] = _operation(name, operation, places.values())
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "callwright",
            "version": VERSION,
            "description": "The 8x8 Voice API on your own SIP trunk, and what callwright adds to it.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{"apiKey": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"apiKey": {"type": "http", "scheme": "bearer"}},
            "schemas": {**REQUESTS, **ANSWERS},
        },
    }


def _places(name: str, path: str) -> dict[str, str]:
    """The parts of a path by their names there, and the parameters they are."""
    found = _PLACE.findall(path)
    return {
        place: "verification_id" if (name, place) == ("check_verification", "session_id") else place for place in found
    }


def _operation(name: str, operation: Operation, places: Iterable[str]) -> dict[str, object]:
    headers = ("Idempotency-Key",) if operation.once else ()
    body: dict[str, object] = {
        "operationId": name,
        "tags": [operation.tag],
        "summary": operation.summary,
        "parameters": [_parameter(place) for place in (*places, *operation.query, *headers)],
        "responses": _responses(operation),
    }
    if operation.request is not None:
        body["requestBody"] = {
            "required": operation.request_required,
            "content": {JSON: {"schema": ref(operation.request)}},
        }
    if operation.public:
        body["security"] = []
    return body


def _parameter(name: str) -> dict[str, object]:
    parameter = PARAMETERS[name]
    return {
        "name": WIRE_NAMES.get(name, name),
        "in": parameter.place,
        "required": parameter.place == "path",
        "description": parameter.description,
        "schema": parameter.schema,
    }


def _responses(operation: Operation) -> dict[str, object]:
    done: dict[str, object] = {"description": "done"}
    if operation.answer is not None:
        done["content"] = {operation.media_type: {"schema": ref(operation.answer)}}
    elif operation.status != 204:
        done["content"] = {operation.media_type: {"schema": {}}}
    if operation.page is not None:
        done["content"] = {operation.media_type: {"schema": {}}, JSON: {"schema": ref(operation.page)}}
    if operation.links:
        done["links"] = {name: _link(name, found) for name, found in operation.links.items()}
    if operation.once:
        done["headers"] = {
            "Idempotent-Replayed": {"description": "on an answer once more", "schema": {"const": "true"}}
        }
    responses: dict[str, object] = {str(operation.status): done}
    for status in sorted({*operation.statuses, *((409, 422) if operation.once else ())}):
        responses[str(status)] = _refusal(operation, status)
    for status, schema in operation.also.items():
        description = operation.reasons.get(status) or REASONS[status]
        responses[str(status)] = {"description": description, "content": {JSON: {"schema": ref(schema)}}}
    return responses


def _link(name: str, found: str) -> dict[str, object]:
    parameters = {found: f"$response.body#/{found}", "subAccountId": "$request.path.subAccountId"}
    return {"operationId": name, "parameters": parameters}


def _refusal(operation: Operation, status: int) -> dict[str, object]:
    form = operation.form
    answer: dict[str, object] = {"description": operation.reasons.get(status) or REASONS[status]}
    if status == 401:
        answer["headers"] = {"WWW-Authenticate": {"required": True, "schema": {"const": "Bearer"}}}
    if status == 503 or (status == 409 and operation.once):
        answer["headers"] = {"Retry-After": {"required": True, "schema": {"type": "string", "pattern": "^[0-9]+$"}}}
    answer["content"] = {_PROBLEM if form == "problem" else JSON: {"schema": ref(_schema_of(form, status))}}
    return answer


def _schema_of(form: Form, status: int) -> str:
    match form:
        case "callflow":
            return "CallflowRefused"
        case "number" if status == 404:
            return "NumberRefused"
        case "configuration" if status in {413, 422}:
            return "ConfigurationRefused"
        case "platform":
            return "PlatformRefused"
        case "problem":
            return "Problem"
        case _:
            return "Refused"
