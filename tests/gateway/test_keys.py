"""Configurations are written for the keys: what is listed stays,
and more may come."""

from __future__ import annotations

from tests.gateway.keys import FILE, keys


def test_each_key_keeps_its_default() -> None:
    now = keys().splitlines()
    changed = [line for line in FILE.read_text().splitlines() if line not in now]
    assert changed == [], "if the change is meant, run `python -m tests.gateway.keys`"


def test_the_list_has_a_line_for_each() -> None:
    lines = FILE.read_text().splitlines()
    assert len(set(lines)) == len(lines) > 10
