"""Notices of an operator to clients: to all, or to some."""

from __future__ import annotations

import asyncio
from typing import Final

import msgspec
from msgspec import Struct

from holdfast.core.errors import HoldfastError
from holdfast.core.items import Notice
from holdfast.core.validation import UnsendableError, check_text
from holdfast.gateway.pool import Member
from holdfast.gateway.view import GatewayView

_SLICE: Final = 200
"""Clients that are told before others have their turn."""


class NoticeError(HoldfastError):
    """The body of a request is no notice. Says what was found and expected."""


class NoticeRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """A notice, and who gets it: clients that fit in each field that is not empty."""

    text: str
    session: str = ""
    user: str = ""
    protocol: str = ""
    """`telnet`, `websocket`, `tcp` …"""
    listener: str = ""
    """As it is listed: `telnet://0.0.0.0:4000`."""


def read_notice(body: bytes, text_bytes_max: int) -> NoticeRequest:
    """Read the body of a request. Raises `NoticeError`."""
    try:
        wanted = msgspec.json.decode(body, type=NoticeRequest)
        check_text("text", wanted.text, text_bytes_max)
    except (msgspec.DecodeError, UnicodeDecodeError, UnsendableError) as error:
        raise NoticeError(f'expected {{"text": "…"}}: {error}') from error
    if not wanted.text.strip():
        raise NoticeError("text: expected a line, found none")
    return wanted


async def show_notice(view: GatewayView, wanted: NoticeRequest) -> int:
    """Show a notice to the clients that are connected now. Returns to how many."""
    item, pool, shown = Notice(wanted.text), view.pool, 0
    for number, (sid, member) in enumerate(_addressed(view, wanted)):
        if pool.find(sid) is member:  # it may have left meanwhile
            member.show(item, always=True)
            shown += 1
        if number % _SLICE == _SLICE - 1:
            await asyncio.sleep(0)
    return shown


def _addressed(view: GatewayView, wanted: NoticeRequest) -> list[tuple[str, Member]]:
    """The clients that fit in each field that is not empty."""
    found = view.pool.members()
    if wanted.session:
        member = view.pool.find(wanted.session)
        found = [(wanted.session, member)] if member is not None else []
    sessions = view.manager.sessions
    return [
        (sid, member)
        for sid, member in found
        if sid in sessions
        and wanted.user in ("", sessions[sid].row.user)
        and wanted.protocol in ("", member.protocol)
        and wanted.listener in ("", str(member.connection.listener or ""))
    ]
