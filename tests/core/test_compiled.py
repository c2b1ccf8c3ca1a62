"""Which compiled parts `HOLDFAST_PURE` leaves in use."""

from __future__ import annotations

import pytest

from holdfast.core.compiled import is_wanted


@pytest.mark.parametrize(
    ("asked", "codec", "sockets"),
    [
        (None, True, True),
        ("", True, True),
        ("0", True, True),
        ("1", False, False),
        ("yes", False, False),
        ("codec", False, True),
        ("sockets", True, False),
        ("codec,sockets", False, False),
        ("codec,all", False, False),
        ("codec, sockets", False, False),
        ("codec sockets", False, False),
    ],
)
def test_what_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, asked: str | None, codec: bool, sockets: bool
) -> None:
    monkeypatch.delenv("HOLDFAST_PURE", raising=False)
    if asked is not None:
        monkeypatch.setenv("HOLDFAST_PURE", asked)
    assert (is_wanted("codec"), is_wanted("sockets")) == (codec, sockets)
