"""Requests that the OpenAPI document allows, and bent ones, made by schemathesis: answered as it says, never with 5xx.

`make fuzz-api` tries 5,000 of them, always new ones.
"""

import asyncio
import os
from typing import TYPE_CHECKING, Any

import httpx
import hypothesis
import pytest
import schemathesis
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from callwright.api.app import openapi_document

if TYPE_CHECKING:
    from tests.api.conftest import Installation

pytestmark = pytest.mark.asyncio(loop_scope="module")

CASES = int(os.environ.get("API_CASES", "200"))
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
SCHEMA = schemathesis.openapi.from_dict(openapi_document())
OPERATIONS = [result.ok() for result in SCHEMA.get_all_operations() if isinstance(result, Ok)]
assert len(OPERATIONS) == sum(1 for _ in SCHEMA.get_all_operations()), "an operation cannot be read"
CASES_EACH = -(-CASES // len(OPERATIONS))


def cases_of(operation: Any) -> st.SearchStrategy[Any]:
    """Right requests, and wrong ones where there is something to be wrong."""
    right: st.SearchStrategy[Any] = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    if not (operation.body or operation.query or operation.path_parameters):
        return right
    wrong: st.SearchStrategy[Any] = operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)
    return right | wrong


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
async def test_it_is_answered_as_described(api: "Installation", operation: Any) -> None:
    key = api.admin_key if operation.path.startswith("/api/v1/trunks") else None
    base_url = f"http://{api.address}"
    headers = {**api.as_rider(key), "accept": "application/json"}  # streams do not end

    @hypothesis.settings(max_examples=CASES_EACH, suppress_health_check=list(hypothesis.HealthCheck))
    @hypothesis.given(case=cases_of(operation), is_own=st.sampled_from((True, True, False)))
    def try_many(case: Any, is_own: bool) -> None:
        if is_own and "subAccountId" in case.path_parameters:
            case.path_parameters["subAccountId"] = "riders_hq"  # else nearly every answer is 404
        answer = case.call_and_validate(base_url=base_url, headers=headers, checks=CHECKS, timeout=60)
        if answer.status_code < 300 and operation.label.startswith("POST") and operation.path.endswith("/exports"):
            # Nobody carries jobs out here, and when too many wait the next is 503, as documented.
            job = f"{base_url}/api/v1/subaccounts/riders_hq/messages/exports/{answer.json()['jobId']}"
            assert httpx.delete(job, headers=headers, trust_env=False).status_code < 300

    await asyncio.to_thread(try_many)
