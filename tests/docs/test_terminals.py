"""The configurations in the page on terminals, and the example, are served as they stand."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from holdfast.gateway.config import load, parse

ROOT = Path(__file__).parents[2]
SHOWN = re.findall(r"^```toml\n(.*?)^```", (ROOT / "docs/terminals.md").read_text(), re.M | re.S)


@pytest.mark.parametrize("number", range(2), ids=["ssh", "pty"])
def test_each_configuration_is_valid(number: int) -> None:
    if number and os.geteuid() != 0:
        return  # only root may run commands as somebody else
    (listener,) = parse(SHOWN[number]).listener
    assert listener.backend.terminal


def test_the_example_is_valid() -> None:
    config = load(ROOT / "examples" / "ssh.toml")
    assert config.listener[0].backend.kind == "ssh"
