"""The ways to connect to a gateway that was started at a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from holdfast.gateway.config import Config, ListenerConfig
from holdfast.net.addresses import Address


def ways(config: Config, addresses: Sequence[Address]) -> Sequence[str]:
    """A line for each way to connect: who connects, and the command or the address.

    `addresses` are those of the listeners, with the ports that they have.
    """
    listeners = zip(config.listener, addresses, strict=True)
    lines = (line for listener, address in listeners for line in _of(listener, address))
    return list(dict.fromkeys(lines))


def _of(listener: ListenerConfig, address: Address) -> Iterator[str]:
    scheme = address.scheme
    if scheme in ("ws", "wss"):
        if listener.backend.terminal:
            yield f"  shell     {_page(address)}"
            return
        if listener.pages or listener.play is not None:
            yield f"  browser   {_page(address)}"
        yield f"  terminal  holdfast connect {address}"
    elif scheme == "telnet":
        yield f"  telnet    telnet {address.host} {address.port}"
    elif scheme == "tcp":
        yield f"  netcat    nc {address.host} {address.port}"


def _page(address: Address) -> str:
    return f"http{'s' if address.secure else ''}://{address.authority}/"
