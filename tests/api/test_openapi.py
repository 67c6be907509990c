"""The OpenAPI document: every route, in words that are data beside the routes, and the same on the page."""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from callwright.api.app import ROUTES, openapi_document
from callwright.api.described.operations import OPERATIONS, PARAMETERS

if TYPE_CHECKING:
    from tests.api.conftest import Installation

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAGE = Path(__file__).parents[2] / "docs" / "openapi.json"


def references(value: object) -> set[str]:
    """Every name that a `$ref` leads to."""
    if isinstance(value, dict):
        own = {value["$ref"]} if "$ref" in value else set()
        return own.union(*(references(inner) for inner in value.values()))
    return set().union(*(references(inner) for inner in value)) if isinstance(value, list) else set()


async def test_the_document_is_served_without_a_key_and_is_the_one_in_the_docs(api: "Installation") -> None:
    answer = await api.client.get("/openapi.json")
    assert answer.status_code == 200
    assert answer.json() == json.loads(PAGE.read_text()), "run scripts/write-docs"


async def test_every_route_is_described_and_nothing_else() -> None:
    assert {name for name, *_ in ROUTES} == OPERATIONS.keys()


async def test_the_documents_paths_are_the_routes() -> None:
    paths = cast("dict[str, Any]", openapi_document()["paths"])
    described = {(method.upper(), re.sub(r"\{\w+\}", "{}", path)) for path in paths for method in paths[path]}
    assert described == {(method, re.sub(r"\{\w+\}", "{}", path)) for _, method, path, *_ in ROUTES}


async def test_every_reference_leads_somewhere_and_every_schema_is_used() -> None:
    document = json.loads(json.dumps(openapi_document()))
    names = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert references(document) == names


async def test_links_lead_to_routes_by_a_parameter_that_they_have() -> None:
    operations = {name: operation for name, operation in OPERATIONS.items() if operation.links}
    assert operations
    document = cast("dict[str, Any]", openapi_document()["paths"])
    parameters = {
        each["operationId"]: {parameter["name"] for parameter in each["parameters"]}
        for path in document.values()
        for each in path.values()
    }
    for operation in operations.values():
        for target, field in operation.links.items():
            assert field in parameters[target]


async def test_every_parameter_has_a_use() -> None:
    in_paths = {place for _, _, path, *_ in ROUTES for place in re.findall(r"\{(\w+)\}", path)}
    in_queries = {name for operation in OPERATIONS.values() for name in operation.query}
    assert in_paths | in_queries | {"verification_id", "Idempotency-Key"} == PARAMETERS.keys()


async def test_a_wrong_method_is_told_which_are_right(api: "Installation") -> None:
    answer = await api.client.request("PATCH", "/api/v1/subaccounts/riders_hq/recording-push-config")
    assert (answer.status_code, answer.headers["allow"]) == (405, "DELETE, GET, POST")
    assert answer.json() == {"statusCode": 405, "statusMessage": "Method not allowed"}
