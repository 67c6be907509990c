"""A sub-account's virtual numbers over real HTTP (contract §9.2)."""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.api.conftest import Installation

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATH = "/api/v1/subaccounts/riders_hq/numbers"
NUMBER = "+6531580000"


async def test_numbers_are_listed_and_shown_and_nobody_elses(api: "Installation") -> None:
    added = await api.store.add_number("riders_hq", NUMBER)
    await api.store.add_number("other_co", "+6531580001")
    listed = (await api.client.get(PATH, headers=api.as_rider())).json()
    assert (listed["totalNumbers"], listed["statusCode"]) == (1, 0)
    (number,) = listed["numbers"]
    assert (number["msisdn"], number["referenceId"], number["countryCode"], number["operationalStatus"]) == (
        NUMBER, added.reference_id, "SG", "Active",
    )  # fmt: skip
    assert (await api.client.get(number["uri"], headers=api.as_rider())).status_code == 200
    for text in ("6531580000", "+6531580000", "%2B6531580000"):
        shown = await api.client.get(f"{PATH}/{text}", headers=api.as_rider())
        assert shown.status_code == 200
        assert shown.json()["payload"] == {"referenceId": added.reference_id, "msisdn": NUMBER, "countryCode": "SG"}


@pytest.mark.parametrize("number", ["6531580001", "6531589999", "123456", "1" * 16, "riders", "%00"])
async def test_what_is_not_ones_own_is_not_found(api: "Installation", number: str) -> None:
    await api.store.add_number("other_co", "+6531580001")
    answer = await api.client.get(f"{PATH}/{number}", headers=api.as_rider())
    assert answer.status_code == 404
    assert list(answer.json()) == ["statusCode", "statusMessage", "timestamp"]
