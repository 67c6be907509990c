"""What the stories of questions and answers share: a customer's server that was told what to answer."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from tests.answering import Answerer


@pytest_asyncio.fixture(loop_scope="session")
async def answerer() -> AsyncIterator[Answerer]:
    async with Answerer().serving() as serving:
        yield serving


@pytest.fixture
def new_answerer() -> type[Answerer]:
    """For stories with several customers."""
    return Answerer
