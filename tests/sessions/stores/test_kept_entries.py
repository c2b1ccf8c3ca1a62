"""Entries of adopted journals that stay in memory."""

from __future__ import annotations

import pytest

from holdfast.sessions.stores.postgres import kept_entries
from holdfast.sessions.stores.postgres.batches import place
from holdfast.sessions.stores.postgres.kept_entries import KeptEntries


def test_entries_are_kept_until_their_runs_are_forgotten() -> None:
    kept, others = KeptEntries(), KeptEntries()
    for run in (1, 2):
        others.add(place(run, 7), b"body", b"shared")
    kept.take(others)
    both = [place(1, 7), place(2, 7)]
    assert kept.of([*both, place(1, 8)]) == dict.fromkeys(both, (b"body", b"shared"))
    kept.forget([1])
    assert list(kept.of(both)) == [place(2, 7)]


def test_entries_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_entries, "_BYTES_MAX", 10)
    kept = KeptEntries()
    for number in (1, 2, 3):
        kept.add(place(1, number), b"body", b"")
    kept.add(place(2, 1), b"2", b"2")
    assert list(kept.of([place(1, 1), place(1, 2), place(1, 3)])) == [place(1, 1), place(1, 2)]
    kept.forget([1])
    kept.add(place(2, 2), b"12345678", b"")
    assert kept.of([place(2, 2)]), "what is forgotten makes room"
