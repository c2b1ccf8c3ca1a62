"""Which compiled parts `HOLDFAST_PURE` leaves in use."""

from __future__ import annotations

import pytest

from holdfast.core.compiled import is_wanted


@pytest.mark.parametrize(
    ("asked", "codec", "sockets", "core"),
    [
        (None, True, True, True),
        ("", True, True, True),
        ("0", True, True, True),
        ("1", False, False, False),
        ("yes", False, False, False),
        ("codec", False, True, True),
        ("sockets", True, False, True),
        ("codec,sockets", False, False, True),
        ("core", True, True, False),
        ("codec,all", False, False, False),
        ("codec, sockets", False, False, False),
        ("codec sockets", False, False, False),
    ],
)
def test_what_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, asked: str | None, codec: bool, sockets: bool, core: bool
) -> None:
    monkeypatch.delenv("HOLDFAST_PURE", raising=False)
    if asked is not None:
        monkeypatch.setenv("HOLDFAST_PURE", asked)
    wanted = is_wanted("codec"), is_wanted("sockets"), is_wanted("core")
    assert wanted == (codec, sockets, core)
