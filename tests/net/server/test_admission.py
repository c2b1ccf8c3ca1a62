"""Each limit of a rate, on both sides: exactly so many pass, and one more does not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import structlog

from holdfast.core.limits import ConnectionLimits, WebSocketLimits
from holdfast.core.rate import Flow, flow_rates
from holdfast.net.log import RateLimitedLogger
from holdfast.net.server.admission import Admission, AdmissionRefusal

PER_SECOND, BURST = 2, 7
"""Neither may stand for the other."""

Spend = Callable[[float], bool]


def accepts() -> Spend:
    limits = ConnectionLimits(accepts_per_second_max=PER_SECOND, accept_burst_max=BURST)
    return Admission(limits).may_accept


def accepts_of_an_address() -> Spend:
    limits = ConnectionLimits(
        accepts_per_address_per_second_max=PER_SECOND, accept_burst_per_address_max=BURST
    )
    admission = Admission(limits)
    return lambda now: admission.check("192.0.2.1", now) is None


def messages() -> Spend:
    limits = WebSocketLimits(messages_per_second_max=PER_SECOND, message_burst_max=BURST)
    flow = Flow(flow_rates(limits))
    return lambda now: flow.admit(1, 1, now)


def message_bytes() -> Spend:
    limits = WebSocketLimits(bytes_per_second_max=PER_SECOND, bytes_burst_max=BURST)
    flow = Flow(flow_rates(limits))
    return lambda now: flow.admit(0, 1, now)


def lines_of_the_log() -> Spend:
    now = 0.0
    logger = RateLimitedLogger("test", PER_SECOND * 60, BURST, clock=lambda: now)

    def spend(at: float) -> bool:
        nonlocal now
        now = at
        with structlog.testing.capture_logs() as logs:
            logger.info("line")
        return bool(logs)

    return spend


@pytest.mark.parametrize(
    "make", [accepts, accepts_of_an_address, messages, message_bytes, lines_of_the_log]
)
def test_the_burst_passes_and_then_the_rate(make: Callable[[], Spend]) -> None:
    spend = make()
    assert [spend(100.0) for _ in range(BURST + 1)] == [True] * BURST + [False]
    # One more for each half second, and no more than one.
    assert [spend(100.5), spend(100.5)] == [True, False]
    assert [spend(101.0), spend(101.0)] == [True, False]
    assert [spend(200.0) for _ in range(BURST + 1)] == [True] * BURST + [False]


def test_so_many_connections_of_an_address_and_no_more() -> None:
    admission = Admission(ConnectionLimits(connections_per_address_max=2))
    for _ in range(2):
        assert not admission.full("192.0.2.1")
        assert admission.check("192.0.2.1", 100.0) is None
        admission.opened("192.0.2.1")
    assert admission.full("192.0.2.1")
    assert admission.check("192.0.2.1", 100.0) is AdmissionRefusal.TOO_MANY_FROM_ADDRESS
    assert not admission.full("192.0.2.2")
    admission.closed("192.0.2.1")
    assert not admission.full("192.0.2.1")
