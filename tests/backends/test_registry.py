"""The kinds of backends: what a listener may say of them, and whose a stored session is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.backends.node import node

from holdfast.backends import echo, link, registry, stream, tcp
from holdfast.backends.base import BackendConfig
from holdfast.backends.registry import KINDS, Backends, config_of, is_reserved, read, split
from holdfast.core.errors import ConfigurationError

READ: dict[str, tuple[dict[str, Any], BackendConfig]] = {
    "nothing": ({}, link.Config()),
    "link": ({"backend": "link", "app": "chat"}, link.Config("chat")),
    "tcp": ({"backend": "tcp", "upstream": "mud"}, tcp.Config("mud")),
    "stream": ({"backend": "stream", "upstream": "mud"}, stream.Config("mud")),
    "echo": ({"backend": "echo"}, echo.Config()),
}


@pytest.mark.parametrize(("table", "config"), READ.values(), ids=READ)
def test_a_listener_s_keys_are_read_by_its_kind(
    table: dict[str, Any], config: BackendConfig
) -> None:
    own, others = split({"url": "tcp://a:1", **table, "bind": {}})
    assert read("listener[0]", own) == config
    assert others == {"url": "tcp://a:1", "bind": {}}


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no-such-kind": (
        {"backend": "smtp"},
        "l.backend: expected 'echo', 'http', 'link', 'pty', 'ssh', 'stream' or 'tcp', found 'smtp'",
    ),
    "a-key-of-two-other-kinds": (
        {"backend": "echo", "upstream": "mud"},
        "l.upstream: expected only for the backends 'tcp' and 'stream', found it for 'echo'",
    ),
    "a-key-of-one-other-kind": (
        {"backend": "tcp", "app": "chat"},
        "l.app: expected only for the backends 'http' and 'link', found it for 'tcp'",
    ),
}


@pytest.mark.parametrize(("own", "message"), WRONG.values(), ids=WRONG)
def test_what_no_kind_reads_is_named(own: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read("l", own)
    assert str(caught.value) == message


def test_a_value_of_a_wrong_type_is_the_type_s_error() -> None:
    with pytest.raises(msgspec.ValidationError, match=r"Expected `str`, got `int` - at `\$.app`"):
        read("l", {"app": 3})
    with pytest.raises(msgspec.ValidationError, match="Expected `str`, got `array`"):
        read("l", {"backend": ["echo"]})


def test_each_kind_has_what_a_kind_must_have() -> None:
    assert list(KINDS) == ["tcp", "stream", "echo", "ssh", "pty", "http", "link"]
    for name, kind in KINDS.items():
        assert kind.Config.kind == name
        assert callable(kind.open)
        assert isinstance(kind.Config(), BackendConfig)  # every key has a default


NAMES: dict[str, BackendConfig] = {
    "echo": echo.Config(),
    "tcp:mud": tcp.Config("mud"),
    "tcp:gone": link.Config("tcp:gone"),  # no longer configured: it waits like any other
    "chat": link.Config("chat"),
    "*": link.Config(),
    "stream:mud": link.Config("stream:mud"),  # no session is a stream's
}


@pytest.mark.parametrize(("name", "config"), NAMES.items(), ids=NAMES)
def test_a_stored_session_finds_its_backend_by_name(name: str, config: BackendConfig) -> None:
    assert config_of(name, {"mud": None}) == config
    assert config.name == name


def test_names_of_other_kinds_are_reserved_also_while_nothing_is_called_so() -> None:
    reserved = {name for name in (*NAMES, "tcp:") if is_reserved(name, "link")}
    assert reserved == {"echo", "tcp:mud", "tcp:gone", "tcp:"}


async def test_a_backend_is_opened_once(tmp_path: Path) -> None:
    async with node(tmp_path) as it:
        by_name: dict[str, Any] = {}
        backends = Backends(it.services, by_name)
        first = backends.open(link.Config("chat"))
        assert backends.open(link.Config("chat")) is backends.named("chat") is first
        other = backends.named("echo")
        assert backends.all == [first, other]
        assert backends.links == {"chat": first}
        assert by_name == {"chat": first, "echo": other}


def test_a_listener_that_says_nothing_is_an_application_s() -> None:
    assert link.Config() == registry.DEFAULT
