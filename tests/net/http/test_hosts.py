"""Which host names a listener is for: pages by DNS rebinding are turned away."""

from __future__ import annotations

import pytest

from holdfast.core.errors import ConfigurationError
from holdfast.gateway.config import parse
from holdfast.net.addresses import parse_address
from holdfast.net.http.hosts import check_host, is_loopback_name, served_hosts

LOOPBACK = "ws://127.0.0.1:8080/"
EVERYWHERE = "ws://0.0.0.0:8080/"

REQUESTS: dict[str, tuple[str, tuple[str, ...], str, bool]] = {
    # A browser that dialled the loopback address itself wrote the listener's port.
    "rebinding": (LOOPBACK, (), "evil.example:8080", False),
    "rebinding-with-capitals": (LOOPBACK, (), "EVIL.example:8080", False),
    "rebinding-with-a-final-dot": (LOOPBACK, (), "localhost.evil.example.:8080", False),
    "rebinding-of-the-default-port": ("ws://127.0.0.1:80/", (), "evil.example", False),
    "rebinding-of-the-default-port-of-tls": ("wss://127.0.0.1/", (), "evil.example", False),
    "rebinding-ipv6": ("ws://[::1]:8080/", (), "evil.example:8080", False),
    "rebinding-localhost": ("ws://localhost:8080/", (), "evil.example:8080", False),
    "localhost": (LOOPBACK, (), "localhost:8080", True),
    "localhost-with-a-final-dot": (LOOPBACK, (), "LocalHost.:8080", True),
    "below-localhost": (LOOPBACK, (), "app.localhost:8080", True),
    "an-address": (LOOPBACK, (), "127.0.0.1:8080", True),
    "an-ipv6-address": (LOOPBACK, (), "[::1]:8080", True),
    "another-address": (LOOPBACK, (), "192.0.2.1:8080", False),
    # What a proxy on this machine passes on has the proxy's port.
    "behind-a-proxy": (LOOPBACK, (), "chat.example", True),
    "behind-a-proxy-with-tls": (LOOPBACK, (), "chat.example:443", True),
    "no-host": (LOOPBACK, (), "", True),
    # Elsewhere only the configuration knows.
    "everywhere": (EVERYWHERE, (), "evil.example:8080", True),
    "a-listed-one": (EVERYWHERE, ("chat.example",), "Chat.Example.:8080", True),
    "not-a-listed-one": (EVERYWHERE, ("chat.example",), "evil.example:8080", False),
    "listed-and-none": (EVERYWHERE, ("chat.example",), "", False),
    "listed-and-nonsense": (EVERYWHERE, ("chat.example",), "chat.example:x", False),
    "a-listed-address": (EVERYWHERE, ("[2001:db8::1]",), "[2001:db8::1]:8080", True),
    "a-listed-a-label": (EVERYWHERE, ("b\u00fccher.example",), "xn--bcher-kva.example", True),
    "listed-on-loopback": (LOOPBACK, ("chat.example",), "chat.example:8080", True),
    "listed-and-not-loopback": (LOOPBACK, ("chat.example",), "localhost:8080", False),
    "any-on-loopback": (LOOPBACK, ("*",), "evil.example:8080", True),
}


@pytest.mark.parametrize(("url", "hosts", "host", "right"), REQUESTS.values(), ids=REQUESTS)
def test_for_which_hosts_a_listener_is(
    url: str, hosts: tuple[str, ...], host: str, right: bool
) -> None:
    assert served_hosts(hosts, parse_address(url)).allows(host) is right


@pytest.mark.parametrize(
    "host", ["", "a.example:80", "https://a.example", "a.example/", "*.a.example", "a b", "[::1"]
)
def test_what_is_no_host_name_is_named(host: str) -> None:
    with pytest.raises(ConfigurationError, match="expected '\\*' or a host name without a port"):
        check_host(host)


@pytest.mark.parametrize("host", ["*", "a.example", "[::1]", "::1", "192.0.2.1", "A.Example."])
def test_host_names(host: str) -> None:
    check_host(host)


@pytest.mark.parametrize("name", ["localhost.example", "localhost1", "127.0.0.1.example", ""])
def test_names_that_only_look_like_loopback(name: str) -> None:
    assert not is_loopback_name(name)


def test_hosts_are_for_websockets() -> None:
    toml = (
        '[[listener]]\nurl = "tcp://127.0.0.1:1"\nbackend = "echo"\ndurability = "memory"\n'
        'hosts = ["a.example"]\n'
    )
    with pytest.raises(ConfigurationError, match=r"listener\[0\].hosts: expected only for ws"):
        parse(toml)
    with pytest.raises(ConfigurationError, match=r"listener\[0\].hosts\[0\]: expected '\*' or"):
        parse(toml.replace("tcp:", "ws:").replace("a.example", "a:1"))
