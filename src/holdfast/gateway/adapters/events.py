"""The events that an adapter makes of a client's bytes, beside the items of `core.items`."""

from __future__ import annotations

from msgspec import Struct

from holdfast.core.errors import Reason
from holdfast.core.items import Binary, Data, Interrupt, Resized, Text
from holdfast.net.security_log import SecurityEvent
from holdfast.sessions.position import ClientPosition
from holdfast.sessions.records import Capabilities


class Enter(Struct, frozen=True, array_like=True, tag=True):
    """The client is ready for a session: a new one, or the one that it can prove to hold."""

    token: str = ""
    code: str = ""
    position: ClientPosition | None = None
    """How much of the output it has; `None` for a client that does not count."""
    attempt: int = 0
    """The client's count of its connections, if it keeps one."""
    or_new: bool = False
    """Whether a new session will do if the right to that one is refused."""
    cookies: tuple[str, ...] = ()
    """The tokens in a browser's cookies, of which the first valid one counts. They may be older
    than the newest one that the browser was given."""
    acked: int = 0
    """The newest command that was acknowledged to the client."""
    credential: str = ""
    """A token that proves who the client is."""


class ResumeOwn(Struct, frozen=True, array_like=True, tag=True):
    """The user accepts the offered session."""


class Numbered(Struct, frozen=True, array_like=True, tag=True, gc=False):
    """A command with the client's own number."""

    c: int
    item: Text | Binary | Data | Interrupt


class Ack(Struct, frozen=True, array_like=True, tag=True, gc=False):
    """The client has every output up to `n`."""

    n: int


class Proven(Struct, frozen=True, array_like=True, tag=True, gc=False):
    """The client has every output up to `number`: it has answered the probe that asked for it."""

    number: int


class Capable(Struct, frozen=True, array_like=True, tag=True):
    """The client's capabilities are known, or have changed."""

    capabilities: Capabilities


class LoginGiven(Struct, frozen=True, array_like=True, tag=True):
    """Credentials of a user."""

    username: str = ""
    password: str = ""
    token: str = ""


class CredentialGiven(Struct, frozen=True, array_like=True, tag=True):
    """A token that proves who the client is: it was asked for, or replaces one that expires."""

    token: str


class ProfileWanted(Struct, frozen=True, array_like=True, tag=True):
    """A profile is chosen by its id, or a new one asked for by name."""

    id: str = ""
    name: str = ""
    properties: dict[str, str] = {}
    """Of a new one."""


class CodeWanted(Struct, frozen=True, array_like=True, tag=True):
    """The user wants to continue at another client, and requests a resume code."""


class TokenWanted(Struct, frozen=True, array_like=True, tag=True):
    """The client has begun to count outputs, and needs a token to resume with."""


class InvitationWanted(Struct, frozen=True, array_like=True, tag=True):
    """The user wants others to watch, for so many seconds."""

    seconds: float


class InvitationRevoked(Struct, frozen=True, array_like=True, tag=True):
    """The user revokes the invitation of this number."""

    id: int


class Watch(Struct, frozen=True, array_like=True, tag=True):
    """The client has an invitation, and wants to watch. It has the output up to number `n`."""

    token: str
    n: int = 0


class AbortOutput(Struct, frozen=True, array_like=True, tag=True):
    """The user discards the queued output (Telnet AO)."""


class Left(Struct, frozen=True, array_like=True, tag=True):
    """The client closes the connection in its protocol's orderly way.

    `done` means that it will not return: its session ends.
    """

    done: bool


class Broken(Struct, frozen=True, array_like=True, tag=True):
    """The client broke its protocol, or a limit of it. The adapter's answer is queued."""

    reason: Reason
    text: str
    security: SecurityEvent | None = None
    """The details for the security log."""


class PlainHttp(Struct, frozen=True, array_like=True, tag=True):
    """An HTTP request that is no upgrade, with all bytes so far."""

    data: bytes


Event = (
    Text
    | Binary
    | Data
    | Interrupt
    | Resized
    | Enter
    | ResumeOwn
    | Numbered
    | Ack
    | Proven
    | Capable
    | LoginGiven
    | CredentialGiven
    | ProfileWanted
    | CodeWanted
    | TokenWanted
    | InvitationWanted
    | InvitationRevoked
    | Watch
    | AbortOutput
    | Left
    | Broken
    | PlainHttp
)
