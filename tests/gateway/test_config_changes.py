"""What differs between two configurations, and what of it a running gateway takes up."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import structs

from holdfast.core.limits import Limits
from holdfast.gateway.config import parse
from holdfast.gateway.config_changes import LIVE_LIMITS, Change, by_url, changes, effective

OLD = """
node = "a"
[admin]
listen = "tcp://127.0.0.1:9180"
[link]
listen = "unix:link"
secret = "a secret of this link"
[limits.session]
sessions_max = 10
groups_max = 5
[[listener]]
url = "telnet://127.0.0.1:4000"
backend = "echo"
durability = "memory"
[[listener]]
url = "tcp://127.0.0.1:0"
backend = "echo"
durability = "memory"
[[listener]]
url = "tcp://127.0.0.1:0"
backend = "echo"
durability = "memory"
[[upstream]]
name = "mud"
servers = ["telnet://127.0.0.1:5000"]
"""

STEPS: dict[str, tuple[str, str, list[Change]]] = {
    "nothing": ("", "", []),
    "a-listener": (
        'durability = "memory"\n[[listener]]',
        'durability = "memory"\nwrap = true\n[[listener]]',
        [Change("listener telnet://127.0.0.1:4000.wrap", "false", "true", "now")],
    ),
    "bind": (
        'durability = "memory"\n[[listener]]',
        'durability = "memory"\nbind = { reuse_port = true }\n[[listener]]',
        [Change("listener telnet://127.0.0.1:4000.bind.reuse_port", "false", "true", "restart")],
    ),
    "an-upstream": (
        "5000",
        "5001",
        [
            Change(
                "upstream mud.servers",
                '["telnet://127.0.0.1:5000"]',
                '["telnet://127.0.0.1:5001"]',
                "now",
            )
        ],
    ),
    "a-limit": (
        "sessions_max = 10",
        "sessions_max = 20",
        [Change("limits.session.sessions_max", "10", "20", "now")],
    ),
    "a-limit-of-a-start": (
        "groups_max = 5",
        "groups_max = 6",
        [Change("limits.session.groups_max", "5", "6", "restart")],
    ),
    "the-node": ('node = "a"', 'node = "b"', [Change("node", '"a"', '"b"', "restart")]),
    "a-secret": (
        "a secret of this link",
        "another secret of this link",
        [Change("link.secret", "(secret)", "(secret)", "restart")],
    ),
}


@pytest.mark.parametrize(("old", "new", "expected"), STEPS.values(), ids=STEPS)
def test_each_difference_has_its_effect(old: str, new: str, expected: list[Change]) -> None:
    before, after = parse(OLD), parse(OLD.replace(old, new, 1) if old else OLD)
    assert changes(before, after) == expected
    taken = effective(before, after)
    assert changes(before, taken) == [one for one in expected if one.effect == "now"]
    assert changes(taken, after) == [one for one in expected if one.effect == "restart"]


def test_of_a_new_or_removed_listener_only_its_own_values_are_told() -> None:
    one = '[[listener]]\nurl = "ws://127.0.0.1:1/"\nbackend = "echo"\ndurability = "memory"\n'
    without, with_it = parse(OLD), parse(OLD + one)
    key = "listener ws://127.0.0.1:1/"
    assert changes(without, with_it) == [
        Change(f"{key}.url", "", '"ws://127.0.0.1:1/"', "now"),
        Change(f"{key}.durability", "", '"memory"', "now"),
    ]
    assert changes(with_it, without) == [
        Change(f"{key}.url", '"ws://127.0.0.1:1/"', "", "now"),
        Change(f"{key}.durability", '"memory"', "", "now"),
    ]


def test_a_secret_inside_of_a_value_is_not_told_either() -> None:
    api = (
        '[api]\nlisten = "unix:api"\n[[api.key]]\nname = "shop"\napps = ["*"]\nhash = "sha256:{}"\n'
    )
    before, after = (parse(OLD + api.format(digit * 64)) for digit in "12")
    (change,) = changes(before, after)
    assert (change.key, change.effect) == ("api.key", "restart")
    for shown in (change.before, change.after):
        assert '"name":"shop","hash":"(secret)"' in shown


def test_the_password_in_a_url_is_not_told() -> None:
    store = '[store]\nurl = "postgresql://u:{}@{}/name?x=y"\n'
    before, after = (parse(OLD + store.format(*each)) for each in (("old", "db1"), ("new", "db2")))
    (change,) = changes(before, after)
    assert (change.key, change.effect) == ("store.url", "restart")
    assert change.before == '"postgresql://db1/name"'
    assert change.after == '"postgresql://db2/name"'


def test_listeners_of_one_url_are_told_apart() -> None:
    assert [key[1] for key in by_url(parse(OLD).listener)] == [0, 0, 1]


def test_a_backend_that_has_sessions_keeps_its_keys(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("0123456789abcdef")
    http = (
        '[[listener]]\nurl = "tcp://127.0.0.1:1"\nbackend = "http"\napp = "shop"\n'
        'endpoint = "http://127.0.0.1:2/a"\ndurability = "memory"\n'
        f'secret_files = ["{tmp_path / "secret"}"]\n'
    )
    before, after = parse(http), parse(http.replace("2/a", "2/b"))
    assert changes(before, after) == [
        Change(
            "listener tcp://127.0.0.1:1.backend.endpoint",
            '"http://127.0.0.1:2/a"',
            '"http://127.0.0.1:2/b"',
            "restart",
        )
    ]


def test_every_limit_that_changes_at_once_is_one() -> None:
    for group, names in LIVE_LIMITS.items():
        known = {field.name for field in structs.fields(getattr(Limits(), group))}
        assert (names or frozenset()) <= known
