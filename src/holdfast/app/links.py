"""The links of an application to all nodes of its gateway.

It knows the address of one node, or a few; every node that it links to names the others. A node is
linked to until the others do not name it any more.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from typing import Final, TypeVar

from holdfast.app.link_client import LinkClient, LinkedApp, LinkSettings
from holdfast.app.node import Node
from holdfast.app.outgoing import Outgoing
from holdfast.core.errors import ConfigurationError
from holdfast.link import messages as m
from holdfast.link.peer import SCHEMES
from holdfast.net.addresses import Address, parse_address
from holdfast.net.log import RateLimitedLogger
from holdfast.net.runtime.runtime import Runtime

_log: Final = RateLimitedLogger("holdfast.app")

K = TypeVar("K")
V = TypeVar("V")

_FORMER_MAX: Final = 100
"""Nodes that have ended, and whose sessions another one may still tell of."""


class Links:
    """The `LinkOwner`. `home` is the node that the first link leads to."""

    def __init__(
        self,
        app: LinkedApp,
        home: Node,
        addresses: Sequence[Address],
        secret: str,
        tls: ssl.SSLContext | None,
        tasks: asyncio.TaskGroup,
    ) -> None:
        self.nodes: list[Node] = []
        """Those that are linked to, or that it tries to link to."""
        self._app = app
        self._home = home
        self._given = addresses
        self._tasks = tasks
        runtime = Runtime(asyncio.get_running_loop())
        self._settings = LinkSettings(runtime, secret, tls, tasks)
        self._links: dict[LinkClient, asyncio.Task[None]] = {}
        self._told: dict[LinkClient, dict[str, Address]] = {}
        """By link: the addresses of nodes, as that node tells them."""
        self._named: dict[str, Address] = {}
        """By name: the nodes that there are, as those say that are linked."""
        self._former: dict[str, Node] = {}
        """By name: nodes that have ended."""
        self._unsettled: dict[tuple[str, int], Outgoing] = {}
        """By run of a node that has ended: what was said to it, while it is not known what it had
        stored."""
        self._heard: dict[tuple[str, int], int] = {}
        """By run of a node that has ended: the newest output that it had stored."""

    def start(self) -> None:
        """Link to the first node, and then to the others, until `stop`."""
        self._settings.runtime.timers.start()
        self._link(self._home)

    async def finish(self) -> None:
        """Wait a limited time for handlers that run and their outputs, and close all links."""
        self._app.dispatcher.leave()
        async with asyncio.TaskGroup() as tasks:
            for link in list(self._links):
                tasks.create_task(link.finish())

    def stop(self) -> None:
        """Release everything."""
        self._settings.runtime.timers.stop()
        for node in self.nodes:
            node.link = None

    # --- LinkOwner

    def addresses(self, link: LinkClient) -> Sequence[Address]:
        self._look()
        own = self._named.get(link.node.name)
        if own is not None:
            return [own]
        alone = all(each is link for each in self._links)
        listed = link.node.name in self._told.get(link, {})
        return self._given if link.node is self._home and (alone or not listed) else ()

    def asks_name(self, link: LinkClient) -> bool:
        return link.node.name in self._named

    def linked(self, link: LinkClient, nodes: Sequence[m.NodeAddress]) -> None:
        self.announced(link, nodes)

    def announced(self, link: LinkClient, nodes: Sequence[m.NodeAddress]) -> None:
        told = self._told[link] = {}
        for each in nodes:
            try:
                told[each.node] = parse_address(each.link, SCHEMES)
            except ConfigurationError as error:
                _log.error("node with a wrong address", node=each.node, error=str(error))
        self._look()

    def replaced(self, link: LinkClient, number: int) -> None:
        node, moves = link.node, self._app.dispatcher.moves
        run = node.name, node.run
        before = moves.replaced(node, number)
        if run in self._heard:
            moves.settle(before, self._heard[run])
        else:
            _keep(self._unsettled, run, before)

    def inherited(self, link: LinkClient, told: m.Inherited) -> None:
        run, moves = (told.node, told.run), self._app.dispatcher.moves
        _keep(self._heard, run, told.heard)
        if run in self._unsettled:
            moves.settle(self._unsettled.pop(run), told.heard)
        for node in [*self.nodes, *self._former.values()]:
            if (node.name, node.run) == run and node is not link.node:
                moves.ended(node, told.heard)
        self._app.progress.move()

    # --- which nodes there are

    def _look(self) -> None:
        """Link to new nodes. Without any link, those stay that were named last."""
        told = [addresses for link, addresses in self._told.items() if link.welcomed]
        if not told:
            return
        before, self._named = self._named, dict[str, Address]()
        for addresses in told:
            self._named |= addresses
        named = self._named
        for name in before.keys() - named.keys():
            _log.info("node gone", node=name)
        known = {each.name for each in self.nodes}
        for name in sorted(named.keys() - known):
            _log.info("node found", node=name, at=str(named[name]))
            node = self._former.pop(name, None) or Node(self._app.limits.window_bytes_max)
            node.name = name
            # The first one, too, is looked for at its own address alone, now that others name it:
            # at another one, it would supersede the link of the node that is there.
            self._told[self._link(node)] = {name: named[name]}

    def _link(self, node: Node) -> LinkClient:
        link = LinkClient(self._app, node, self, self._settings)
        node.link = link
        self.nodes.append(node)
        self._links[link] = self._tasks.create_task(self._run(link))
        return link

    async def _run(self, link: LinkClient) -> None:
        """Keep a link until its node has ended. A refusal is an error of the first one alone."""
        node = link.node
        try:
            await link.run()
        except ConfigurationError as error:
            if node is self._home:
                raise
            _log.error("refused by a node", node=node.name, error=str(error))
        finally:
            del self._links[link]
            self._told.pop(link, None)
            self.nodes.remove(node)
            node.link = None
        _keep(self._former, node.name, node)
        self._app.progress.move()


def _keep(kept: dict[K, V], key: K, value: V) -> None:
    """Keep what concerns the newest ended nodes."""
    kept[key] = value
    while len(kept) > _FORMER_MAX:
        del kept[next(iter(kept))]
