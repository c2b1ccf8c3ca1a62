"""Notifications as messages of `holdfast.v1`."""

from __future__ import annotations

import math
from typing import Final

from msgspec import UNSET

from holdfast.core.errors import DISCONNECTS, Disconnect
from holdfast.gateway.adapters.notifications import (
    Acknowledged,
    CaughtUp,
    ChooseProfile,
    ClaimRefused,
    CodeIssued,
    CredentialNeeded,
    InputModeChanged,
    LoginNeeded,
    MaybeDelivered,
    ResendNeeded,
    Restart,
    Resumption,
    SessionActive,
    SessionNotification,
    SessionOffered,
    TokenIssued,
    Welcomed,
)
from holdfast.protocols import holdfast_v1 as wire


def message_of(  # noqa: C901 - one case for each
    notification: SessionNotification, bytes_max: int
) -> wire.ServerMessage | None:
    """The message that tells a notification, if there is one. `bytes_max` is the longest message
    that the client may send."""
    match notification:
        case Acknowledged(cin):
            return wire.Acked(cin)
        case ResendNeeded(c):
            return wire.Resend(c)
        case Welcomed() | Resumption() | Restart():
            return _session(notification, bytes_max)
        case ClaimRefused(text, retry_seconds):
            retry_ms = -1 if retry_seconds is None else math.ceil(retry_seconds * 1000)
            return wire.Refused(text, retry_ms)
        case SessionOffered(text):
            return wire.Offer(text)
        case CodeIssued(code):
            return wire.Code(code)
        case TokenIssued(token=token, keep_seconds=keep):
            return wire.Token(token, keep or UNSET)
        case LoginNeeded(error, retry_seconds):
            return wire.Login(error, round(retry_seconds * 1000))
        case CredentialNeeded(error, seconds):
            return wire.Auth(error, max(0, round(seconds * 1000)))
        case ChooseProfile(profiles, error):
            return wire.Profiles(tuple(profiles), error)
        case InputModeChanged(mode):
            return wire.InputMode(mode)
        case CaughtUp() | SessionActive() | MaybeDelivered():
            return None


def bye_of(disconnect: Disconnect, text: str, retry_seconds: float) -> wire.Bye:
    """The message that says why a connection ends."""
    retry_ms = round(retry_seconds * 1000) if disconnect.reconnect else -1
    return wire.Bye(disconnect.code, _NAMES.get(disconnect, ""), text, retry_ms)


_NAMES: Final = {disconnect: reason.value for reason, disconnect in DISCONNECTS.items()}


def _session(
    notification: Welcomed | Resumption | Restart, bytes_max: int
) -> wire.Welcome | wire.Resumed | wire.Reset:
    match notification:
        case Welcomed(sid, epoch, token, _, heartbeat, keep):
            return wire.Welcome(
                sid=sid,
                token=token,
                epoch=epoch,
                seq=0,
                heartbeat=heartbeat,
                bytes_max=bytes_max,
                keep_s=keep or UNSET,
            )
        case Resumption(sid, epoch, token, _, heartbeat):
            return wire.Resumed(
                sid=sid,
                token=token,
                epoch=epoch,
                first=notification.first,
                to=notification.last,
                cin=notification.cin,
                heartbeat=heartbeat,
                bytes_max=bytes_max,
                keep_s=notification.keep_seconds or UNSET,
            )
        case Restart(sid, epoch, token, heartbeat):
            return wire.Reset(
                sid=sid,
                token=token,
                epoch=epoch,
                reason=notification.reason.value,
                top=notification.top,
                cin=notification.cin,
                heartbeat=heartbeat,
                bytes_max=bytes_max,
                keep_s=notification.keep_seconds or UNSET,
            )
