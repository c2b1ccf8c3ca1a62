"""What all stores have in common."""

from __future__ import annotations

from holdfast.sessions.stores import base
from holdfast.sessions.stores.base import (
    StoreBusyError,
    StoreError,
    StoreFullError,
    StoreMissingError,
)


def test_what_an_operator_can_mend_while_the_gateway_runs_is_tried_again() -> None:
    errors = {
        found
        for found in vars(base).values()
        if isinstance(found, type) and issubclass(found, StoreError)
    }
    again = {error for error in errors if error.retryable}
    assert again == {StoreBusyError, StoreFullError, StoreMissingError}
