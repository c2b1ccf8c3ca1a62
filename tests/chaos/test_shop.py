"""The shop's customers lose nothing, and see nothing twice, while its parts are killed."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
from tests.chaos.shop import torment
from tests.programs import missing


@pytest.mark.timeout(400)  # programs that are started anew take their time on a busy machine
@pytest.mark.parametrize(("backend", "customers", "orders"), [("link", 8, 3), ("http", 4, 2)])
async def test_each_update_comes_once_and_in_order(
    backend: str, customers: int, orders: int
) -> None:
    if find_spec("fastapi") is None or find_spec("uvicorn") is None:
        missing("FastAPI is not installed (./dev setup)")
    outcome = await torment(customers, orders, backend)
    assert (outcome.lost, outcome.twice, outcome.out_of_order, outcome.resets) == (0, 0, 0, 0)
    assert outcome.updates == customers * orders * 2
    assert outcome.reloads
