"""Who may use the admin listener: tables."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from holdfast.core.errors import ConfigurationError
from holdfast.core.limits import AdminLimits
from holdfast.gateway.admin.guard import Access, AdminConfig, Guard, token_hash

TOKEN = "correct-horse-battery-staple"
HASH = hashlib.sha256(TOKEN.encode()).digest()
LIMITS = AdminLimits(wrong_token_burst_max=3, wrong_tokens_per_minute_max=6)

WITH_TOKEN: dict[str, tuple[dict[str, str], Access]] = {
    "right": ({"Authorization": f"Bearer {TOKEN}"}, Access.ALLOWED),
    "scheme-in-lower-case": ({"Authorization": f"bearer {TOKEN}"}, Access.ALLOWED),
    "more-spaces": ({"Authorization": f"Bearer   {TOKEN} "}, Access.ALLOWED),
    "any-host": ({"Authorization": f"Bearer {TOKEN}", "Host": "example.org"}, Access.ALLOWED),
    "wrong": ({"Authorization": "Bearer nonsense"}, Access.WRONG),
    "half": ({"Authorization": f"Bearer {TOKEN[:-1]}"}, Access.WRONG),
    "the-hash-itself": ({"Authorization": f"Bearer {HASH.hex()}"}, Access.WRONG),
    "empty": ({"Authorization": "Bearer "}, Access.WRONG),
    "not-ascii": ({"Authorization": "Bearer \udcff\udcfe"}, Access.WRONG),
    "none": ({}, Access.MISSING),
    "another-scheme": ({"Authorization": f"Basic {TOKEN}"}, Access.MISSING),
    "from-a-page": (
        {"Authorization": f"Bearer {TOKEN}", "Origin": "https://example.org"},
        Access.FOREIGN,
    ),
    "from-its-own-page-behind-a-proxy": (
        {
            "Authorization": f"Bearer {TOKEN}",
            "Host": "Admin.example.org",
            "Origin": "https://admin.example.org",
        },
        Access.ALLOWED,
    ),
    "from-its-own-page-without-a-token": (
        {"Host": "admin.example.org", "Origin": "https://admin.example.org"},
        Access.MISSING,
    ),
}


@pytest.mark.parametrize(("headers", "verdict"), WITH_TOKEN.values(), ids=WITH_TOKEN)
def test_with_a_token(headers: dict[str, str], verdict: Access) -> None:
    assert Guard(HASH, LIMITS).judge(headers, "192.0.2.1", 1.0) is verdict


WITHOUT_TOKEN: dict[str, tuple[dict[str, str], Access]] = {
    "by-address": ({"Host": "127.0.0.1:9180"}, Access.ALLOWED),
    "by-name": ({"Host": "localhost:9180"}, Access.ALLOWED),
    "by-ipv6": ({"Host": "[::1]:9180"}, Access.ALLOWED),
    "without-port": ({"Host": "localhost"}, Access.ALLOWED),
    "ipv6-without-port": ({"Host": "[::1]"}, Access.ALLOWED),
    "http-1.0": ({}, Access.ALLOWED),
    "by-a-name-that-was-made-to-point-here": ({"Host": "evil.example:9180"}, Access.FOREIGN),
    "a-name-that-begins-alike": ({"Host": "localhost.evil.example"}, Access.FOREIGN),
    "from-its-own-page": (
        {"Host": "localhost:9180", "Origin": "http://localhost:9180"},
        Access.ALLOWED,
    ),
    "from-a-page-at-another-port": (
        {"Host": "localhost:9180", "Origin": "http://localhost:8080"},
        Access.FOREIGN,
    ),
    "from-a-page-of-a-name-that-was-made-to-point-here": (
        {"Host": "evil.example:9180", "Origin": "http://evil.example:9180"},
        Access.FOREIGN,
    ),
    "from-a-page-without-a-host": ({"Origin": "http://"}, Access.FOREIGN),
    "from-an-extension": ({"Host": "localhost", "Origin": "app://localhost"}, Access.FOREIGN),
    "from-a-file": ({"Host": "localhost", "Origin": "null"}, Access.FOREIGN),
}


@pytest.mark.parametrize(("headers", "verdict"), WITHOUT_TOKEN.values(), ids=WITHOUT_TOKEN)
def test_without_a_token(headers: dict[str, str], verdict: Access) -> None:
    assert Guard(None, LIMITS).judge(headers, "127.0.0.1", 1.0) is verdict


def test_wrong_tokens_are_few_and_the_right_one_always_passes() -> None:
    """Others behind the same address must not lock Prometheus out."""
    guard = Guard(HASH, LIMITS)
    wrong = {"Authorization": "Bearer nonsense"}
    right = {"Authorization": f"Bearer {TOKEN}"}
    verdicts = [guard.judge(wrong, "192.0.2.1", 1.0) for _ in range(5)]
    assert verdicts == [Access.WRONG] * 3 + [Access.TOO_MANY] * 2
    assert guard.judge(right, "192.0.2.1", 1.0) is Access.ALLOWED
    assert guard.judge(wrong, "192.0.2.2", 1.0) is Access.WRONG  # another address
    assert guard.judge(wrong, "192.0.2.1", 12.0) is Access.WRONG  # one in ten seconds
    assert guard.wrong == 7


def test_wrong_tokens_are_counted_by_network() -> None:
    guard = Guard(HASH, LIMITS)
    wrong = {"Authorization": "Bearer nonsense"}
    verdicts = [guard.judge(wrong, f"2001:db8::{n}", 1.0) for n in range(4)]
    assert verdicts == [Access.WRONG] * 3 + [Access.TOO_MANY]


def test_right_tokens_and_none_at_all_cost_nothing() -> None:
    guard = Guard(HASH, LIMITS)
    for headers in ({"Authorization": f"Bearer {TOKEN}"}, {}) * 50:
        assert guard.judge(headers, "192.0.2.1", 1.0) is not Access.TOO_MANY


LISTENS: dict[str, tuple[str, bool]] = {
    "ipv4": ("tcp://127.0.0.1:1", False),
    "all-of-127": ("tcp://127.9.9.9:1", False),
    "ipv6": ("tcp://[::1]:1", False),
    "name": ("tcp://localhost:1", False),
    "unix": ("unix:/run/x", False),
    "everywhere": ("tcp://0.0.0.0:1", True),
    "everywhere-ipv6": ("tcp://[::]:1", True),
    "another-address": ("tls://192.0.2.1:1", True),
    "another-name": ("tcp://gateway.example.org:1", True),
}


@pytest.mark.parametrize(("listen", "needed"), LISTENS.values(), ids=LISTENS)
def test_where_a_token_is_needed(listen: str, needed: bool) -> None:
    config = AdminConfig(listen=listen)
    assert token_hash(config, {"HOLDFAST_ADMIN_TOKEN": TOKEN}) == HASH
    if needed:
        with pytest.raises(ConfigurationError) as caught:
            token_hash(config, {})
        assert str(caught.value) == (
            "admin.token_file: expected a token (or HOLDFAST_ADMIN_TOKEN), because"
            f" {listen!r} can be reached from elsewhere; found none"
        )
    else:
        assert token_hash(config, {}) is None


FILES: dict[str, tuple[str | None, str]] = {
    "token": (f"{TOKEN}\n", ""),
    "hash": (f"sha256:{HASH.hex()}\n", ""),
    "empty": ("", "expected a token of at least 16 ASCII characters"),
    "short": ("0123456789abcde", "expected a token of at least 16 ASCII characters"),
    "not-ascii": ("é" * 20, "expected a token of at least 16 ASCII characters"),
    "two-lines": (f"{TOKEN}\n{TOKEN}", "expected a token of at least 16 ASCII characters"),
    "half-a-hash": ("sha256:abcd", "expected 64 hexadecimal digits after 'sha256:'"),
    "no-hash": ("sha256:" + "x" * 64, "expected 64 hexadecimal digits after 'sha256:'"),
    "missing": (None, "expected a file with a token: [Errno 2] No such file or directory"),
}


@pytest.mark.parametrize(("content", "fault"), FILES.values(), ids=FILES)
def test_a_token_from_a_file(tmp_path: Path, content: str | None, fault: str) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_text(content)
    config = AdminConfig(listen="tcp://0.0.0.0:1", token_file=str(path))
    if not fault:
        assert token_hash(config, {"HOLDFAST_ADMIN_TOKEN": "the file is before it"}) == HASH
        return
    with pytest.raises(ConfigurationError) as caught:
        token_hash(config, {})
    assert str(caught.value).startswith(f"admin.token_file: {path}: {fault}")
    assert TOKEN not in str(caught.value)
