"""All limits, in one object.

Names end in their unit and contain `max`. Times are in seconds, sizes in bytes. An application or a
configuration file overrides values. No other module has defaults for limits.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field, structs

from holdfast.core.limits.backends import HttpLimits as HttpLimits
from holdfast.core.limits.backends import LinkLimits as LinkLimits
from holdfast.core.limits.backends import TerminalLimits as TerminalLimits
from holdfast.core.limits.backends import UpstreamLimits as UpstreamLimits
from holdfast.core.limits.base import KIB as KIB
from holdfast.core.limits.base import MIB as MIB
from holdfast.core.limits.base import LimitError as LimitError
from holdfast.core.limits.connections import AuthLimits as AuthLimits
from holdfast.core.limits.connections import ConnectionLimits as ConnectionLimits
from holdfast.core.limits.connections import LineLimits as LineLimits
from holdfast.core.limits.connections import PageLimits as PageLimits
from holdfast.core.limits.connections import TelnetLimits as TelnetLimits
from holdfast.core.limits.connections import WebSocketLimits as WebSocketLimits
from holdfast.core.limits.operation import AdminLimits as AdminLimits
from holdfast.core.limits.operation import ApiLimits as ApiLimits
from holdfast.core.limits.operation import DrainLimits as DrainLimits
from holdfast.core.limits.sessions import SessionLimits as SessionLimits
from holdfast.core.limits.sessions import StoreLimits as StoreLimits


class Limits(Struct, frozen=True, forbid_unknown_fields=True):
    """All limits, by the part that they apply to."""

    connection: ConnectionLimits = field(default_factory=ConnectionLimits)
    websocket: WebSocketLimits = field(default_factory=WebSocketLimits)
    auth: AuthLimits = field(default_factory=AuthLimits)
    pages: PageLimits = field(default_factory=PageLimits)
    telnet: TelnetLimits = field(default_factory=TelnetLimits)
    line: LineLimits = field(default_factory=LineLimits)
    session: SessionLimits = field(default_factory=SessionLimits)
    link: LinkLimits = field(default_factory=LinkLimits)
    store: StoreLimits = field(default_factory=StoreLimits)
    upstream: UpstreamLimits = field(default_factory=UpstreamLimits)
    http: HttpLimits = field(default_factory=HttpLimits)
    terminal: TerminalLimits = field(default_factory=TerminalLimits)
    admin: AdminLimits = field(default_factory=AdminLimits)
    api: ApiLimits = field(default_factory=ApiLimits)
    drain: DrainLimits = field(default_factory=DrainLimits)

    def but(self, **groups: Mapping[str, float]) -> Limits:
        """These limits with some replaced: `limits.but(session={"queue_messages_max": 8})`.

        Raises `TypeError` for a name that does not exist, `ConfigurationError`
        for a value out of range.
        """
        unknown = sorted(groups.keys() - set(self.__struct_fields__))
        if unknown:
            raise TypeError(f"limits: there is no group {', '.join(unknown)}")
        changed = {
            group: structs.replace(getattr(self, group), **values)
            for group, values in groups.items()
        }
        return structs.replace(self, **changed)
