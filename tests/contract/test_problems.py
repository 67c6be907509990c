"""Problem details (RFC 9457)."""

import pytest

from callwright.contract.problems import problem, problem_of
from callwright.errors import ContractError


def test_a_refused_request_has_a_problem() -> None:
    error = ContractError(409, 409, "Session has ended")
    assert problem_of(error, "e35e3d0e-065a-11ec-b119-676cb2bc33ef") == {
        "type": "about:blank",
        "title": "Conflict",
        "status": 409,
        "detail": "Session has ended",
        "instance": "urn:uuid:e35e3d0e-065a-11ec-b119-676cb2bc33ef",
    }


@pytest.mark.parametrize(("status", "title"), [(400, "Bad Request"), (404, "Not Found"), (599, "Error")])
def test_the_title_is_the_statuss_phrase(status: int, title: str) -> None:
    assert problem(status, "words", "urn:uuid:1")["title"] == title
