"""Configurations are written for the keys: a change of one, or of its default, is meant."""

from __future__ import annotations

from tests.gateway.keys import FILE, keys


def test_each_key_keeps_its_default() -> None:
    shown = "if the change is meant, run `python -m tests.gateway.keys`"
    assert keys().splitlines() == FILE.read_text().splitlines(), shown
