"""END-OF-RECORD (RFC 885): the mark after a prompt."""

from __future__ import annotations

from msgspec import structs

from holdfast.protocols.telnet.negotiation import Side
from holdfast.protocols.telnet.options.base import Host, Option


class EndOfRecord(Option):
    """Either side."""

    __slots__ = ()

    def enabled(self, host: Host, side: Side) -> None:
        host.learn(structs.replace(host.capabilities, eor=True))

    def disabled(self, host: Host, side: Side) -> None:
        host.learn(structs.replace(host.capabilities, eor=False))
