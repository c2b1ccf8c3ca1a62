"""Which servers a user may reach."""

from __future__ import annotations

import pytest

from holdfast.backends.ssh.config import SshOptions, TargetConfig
from holdfast.backends.ssh.targets import find_target, permitted
from holdfast.backends.terminal.kind import TerminalError

BUILD = TargetConfig(name="build", host="build.example.org", port=2222)
LOCAL = TargetConfig(name="here", host="127.0.0.1")
OPTIONS = SshOptions(target=(BUILD, LOCAL), allow_hosts=("*.lab.example.org",))


def test_a_target_by_its_name() -> None:
    assert find_target(OPTIONS, "build") is BUILD


@pytest.mark.parametrize("wanted", ["a.lab.example.org", "A.lab.example.org:22"])
def test_a_host_that_is_allowed(wanted: str) -> None:
    found = find_target(OPTIONS, wanted)
    assert (found.host.lower(), found.port) == ("a.lab.example.org", 22)


@pytest.mark.parametrize(
    "wanted",
    [
        "",
        "other",
        "build.example.org",
        "a.lab.example.org:23",
        "a.lab.example.org.evil.net",
        "user@a.lab.example.org",
        "a.lab.example.org:x",
        "[::1",
        "127.0.0.1",
    ],
)
def test_a_host_that_is_not(wanted: str) -> None:
    with pytest.raises(TerminalError, match="may not be reached") as caught:
        find_target(OPTIONS, wanted)
    assert caught.value.security is not None


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "0.0.0.0",
        "169.254.169.254",
        "::1",
        "::",
        "fe80::1%eth0",
        "fd00:ec2::254",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "224.0.0.1",
        "ff02::1",
    ],
)
def test_an_address_that_is_denied(address: str) -> None:
    """Also where a name that is allowed leads there (DNS rebinding)."""
    with pytest.raises(TerminalError, match="in a network that may not be reached"):
        permitted(OPTIONS, BUILD, [address])


def test_only_permitted_addresses_are_dialled() -> None:
    assert permitted(OPTIONS, BUILD, ["127.0.0.1", "192.0.2.7"]) == ["192.0.2.7"]


def test_an_address_that_the_operator_has_written() -> None:
    assert permitted(OPTIONS, LOCAL, ["127.0.0.1"]) == ["127.0.0.1"]
    with pytest.raises(TerminalError):
        permitted(OPTIONS, TargetConfig(name="here", host="127.0.0.1"), ["127.0.0.2"])


def test_networks_of_the_configuration() -> None:
    options = SshOptions(
        target=(BUILD,), allow_networks=("127.0.0.0/8",), deny_networks=("10.0.0.0/8",)
    )
    assert permitted(options, BUILD, ["127.0.0.1", "10.1.2.3"]) == ["127.0.0.1"]
