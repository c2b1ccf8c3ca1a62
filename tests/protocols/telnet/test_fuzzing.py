"""A short run of the fuzzer. The long run is `./dev bench fuzz --only telnet`."""

from __future__ import annotations

import pytest
from tests.protocols.telnet.fuzzing import PARTS


@pytest.mark.parametrize("part", PARTS)
def test_a_short_run(part: str) -> None:
    tally = PARTS[part](7, 3_000)
    assert tally.inputs == 3_000
    assert tally.messages > 300
    assert tally.violations > 50 or part == "telnet-start-tls"
