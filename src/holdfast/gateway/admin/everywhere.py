"""Sessions of all nodes on one store, as the admin listener of one of them returns them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import structs

from holdfast.core.limits import AdminLimits
from holdfast.gateway.admin.views import (
    BadQueryError,
    Page,
    RowView,
    Wanted,
    list_sessions,
    read_wanted,
    row_view,
)
from holdfast.gateway.view import GatewayView
from holdfast.sessions.stores.base import OwnedRow

KEY = "nodes"
"""Of a query. Its only value is `all`."""


class StoredView(RowView, frozen=True):
    """A session of another node, as it is stored."""

    node: str
    """The node that has it; empty while none has."""


async def list_everywhere(view: GatewayView, query: Mapping[str, str], limits: AdminLimits) -> Page:
    """Sessions of all nodes that fit, in the order of their birth.

    Raises `BadQueryError` and `StoreError`.
    """
    query = dict(query)
    if (nodes := query.pop(KEY)) != "all":
        raise BadQueryError(f"{KEY}: expected all, found {nodes!r}")
    wanted = read_wanted(view, query, limits)
    own = await list_sessions(view, query, limits)
    others = await _of_others(view, wanted, limits.page_max)
    here = [{"node": view.node, **structs.asdict(one)} for one in own.items]
    found: list[dict[str, Any]] = sorted([*here, *others], key=lambda one: str(one["sid"]))
    page = found[: wanted.count]
    more = own.next is not None or len(found) > wanted.count
    every = await view.others.nodes(limits.page_max)
    total = own.total + sum(node.sessions for node in every if not node.here)
    return Page(page, page[-1]["sid"] if more else None, total)


async def _of_others(view: GatewayView, wanted: Wanted, part: int) -> list[dict[str, Any]]:
    """Sessions of other nodes, one more than may be shown if there are so many."""
    behind = round(view.clock.behind)
    found: list[dict[str, Any]] = []
    after = wanted.after
    while len(found) <= wanted.count:
        rows = await view.others.sessions(after, part)
        if not rows:
            break
        found += [
            structs.asdict(_stored_view(view, one, behind)) for one in rows if wanted.fits(one.row)
        ]
        after = rows[-1].row.sid
    return found


def _stored_view(view: GatewayView, owned: OwnedRow, behind: float) -> StoredView:
    """`behind` is by how much the wall clock is ahead of the gateway's time."""
    row = owned.row
    return StoredView(
        **row_view(view, row, behind),
        state=row.state,
        detached=row.detached + behind if row.detached else 0.0,
        node=owned.node,
    )
