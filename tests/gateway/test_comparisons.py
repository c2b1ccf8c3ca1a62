"""Secrets are compared in constant time, and as often for a wrong one as for the right one."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any, Final

import pytest

from holdfast.backends.http import signature
from holdfast.core.limits import AdminLimits, ApiLimits, SessionLimits
from holdfast.gateway import event_streams
from holdfast.gateway.admin import guard
from holdfast.gateway.admin.guard import Guard
from holdfast.gateway.api import keys
from holdfast.gateway.api.config import ApiKey
from holdfast.gateway.api.keys import ApiRefusedError
from holdfast.gateway.event_streams import OpenStreams
from holdfast.sessions import tokens, viewers
from holdfast.sessions.tokens import Tokens, hash_secret
from holdfast.sessions.viewers import Viewers

RIGHT: Final = b"the right secret, of 32 bytes...."
WRONG: Final = b"a wrong secret that is as long ..."
Use = Callable[[bytes], None]


def _sha256(secret: bytes) -> bytes:
    return hashlib.sha256(secret).digest()


def _tokens() -> Use:
    kept = Tokens(
        current=hash_secret(b"newest"), previous=hash_secret(RIGHT), retired=(hash_secret(b"old"),)
    )
    return lambda secret: (kept.judge(secret), None)[1]


def _invitations() -> Use:
    kept = Viewers(SessionLimits(), lambda: None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(viewers, "new_secret", lambda: RIGHT)
        kept.invite(60.0, 0.0)
        kept.invite(60.0, 0.0)
    return lambda secret: (kept.find(secret, 1.0), None)[1]


def _admin() -> Use:
    kept = Guard(_sha256(RIGHT), AdminLimits())

    def use(secret: bytes) -> None:
        kept.judge({"Authorization": f"Bearer {secret.decode()}"}, "192.0.2.1", 0.0)

    return use


def _api() -> Use:
    known = [
        ApiKey(name, hash=f"sha256:{_sha256(secret).hex()}", apps=("*",))
        for name, secret in (("one", RIGHT), ("other", b"another secret"))
    ]
    kept = keys.Keyring(known, ApiLimits())

    def use(secret: bytes) -> None:
        with contextlib.suppress(ApiRefusedError):
            kept.find(f"Bearer {secret.decode()}", "192.0.2.1", 0.0)

    return use


def _streams() -> Use:
    kept = OpenStreams()
    stream: Any = SimpleNamespace(name="1", secret=RIGHT.decode())
    kept.add(stream)
    return lambda secret: (kept.find(b"1." + secret), None)[1]


def _signatures() -> Use:
    def use(secret: bytes) -> None:
        signature.verify([RIGHT, b"x"], signature.sign([secret], 1_000, b"body"), b"body", 1_000.0)

    return use


KINDS: Final[dict[str, tuple[ModuleType, Use, int]]] = {
    "tokens": (tokens, _tokens(), 3),
    "invitations": (viewers, _invitations(), 2),
    "the admin token": (guard, _admin(), 1),
    "keys of the API": (keys, _api(), 2),
    "event streams": (event_streams, _streams(), 1),
    "signatures": (signature, _signatures(), 2),
}


@pytest.mark.parametrize(("module", "use", "count"), KINDS.values(), ids=KINDS)
def test_a_secret_is_compared_in_constant_time(
    monkeypatch: pytest.MonkeyPatch, module: ModuleType, use: Use, count: int
) -> None:
    compared: list[bool] = []

    class Spy:
        @staticmethod
        def compare_digest(given: bytes, known: bytes) -> bool:
            compared.append(hmac.compare_digest(given, known))
            return compared[-1]

        new = hmac.new

    monkeypatch.setattr(module, "hmac", Spy)
    use(WRONG)
    assert compared == [False] * count
    compared.clear()
    use(RIGHT)
    assert len(compared) == count
    assert any(compared)
