"""The messages of the WebSocket sub-protocol `holdfast.v1`.

JSON objects in text frames; as MessagePack maps in binary frames they are
`holdfast.v1+msgpack`. `t` names the message. Output carries its number as `n`,
commands theirs as `c`.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

SUBPROTOCOL: Final = "holdfast.v1"
SUBPROTOCOL_MSGPACK: Final = "holdfast.v1+msgpack"

# Bounds of fields: numbers that every language holds exactly, and sizes that exist.
_NUMBER_MAX: Final = (1 << 53) - 1
CommandNumber = Annotated[int, Meta(ge=1, le=_NUMBER_MAX)]
CommandCount = Annotated[int, Meta(ge=0, le=_NUMBER_MAX)]
OutputNumber = Annotated[int, Meta(ge=0, le=_NUMBER_MAX)]
Attempt = Annotated[int, Meta(ge=0, le=_NUMBER_MAX)]
CHARACTERS_MAX: Final = 0xFFFF
Characters = Annotated[int, Meta(ge=0, le=CHARACTERS_MAX)]
NAME_CHARS_MAX: Final = 100
Name = Annotated[str, Meta(max_length=NAME_CHARS_MAX)]
BYTES_MAX: Final = 64 * 1024
"""The largest message of a client if the gateway does not name one."""
ByteCount = Annotated[int, Meta(ge=1, le=_NUMBER_MAX)]
Seconds = Annotated[float, Meta(gt=0)]


# --- server → client


class Welcome(Struct, frozen=True, tag_field="t", tag="welcome"):
    """A new session. `seq` is the number after which output begins."""

    sid: str
    token: str
    epoch: str
    seq: OutputNumber
    heartbeat: Seconds
    """Seconds between two signs of life that the client sends and expects."""
    bytes_max: ByteCount = BYTES_MAX
    """The largest message that the gateway takes: a larger one closes the connection with 1009."""
    keep_s: Seconds | UnsetType = UNSET
    """How long the session is kept, as it is now, when its client is away."""


class Resumed(Struct, frozen=True, tag_field="t", tag="resumed", rename={"first": "from"}):
    """The session is resumed without loss: outputs `from` … `to` follow, then new ones."""

    sid: str
    token: str
    epoch: str
    first: OutputNumber
    to: OutputNumber
    cin: CommandCount
    """The newest command that was taken in; the client sends the ones after it again."""
    heartbeat: Seconds
    bytes_max: ByteCount = BYTES_MAX
    keep_s: Seconds | UnsetType = UNSET


class Reset(Struct, frozen=True, tag_field="t", tag="reset"):
    """The session is resumed, and output was lost: clear the display after number `top`."""

    sid: str
    token: str
    epoch: str
    reason: str
    top: OutputNumber
    cin: CommandCount
    heartbeat: Seconds
    bytes_max: ByteCount = BYTES_MAX
    keep_s: Seconds | UnsetType = UNSET


class Token(Struct, frozen=True, tag_field="t", tag="token"):
    """A newer token of the same session, because the session got a user. It replaces the
    previous one, which is valid until an output after this message is acknowledged."""

    d: str
    keep_s: Seconds | UnsetType = UNSET


class Text(Struct, frozen=True, tag_field="t", tag="text", gc=False):
    """Whole lines."""

    n: OutputNumber
    d: str


class Formatted(Struct, frozen=True, tag_field="t", tag="formatted"):
    """Text with spans `[start, length, style]`, counted in characters (code points)."""

    n: OutputNumber
    d: str
    s: tuple[Any, ...]


class Data(Struct, frozen=True, tag_field="t", tag="data", gc=False):
    """A structured message of package `p`; `d` is its value, not decoded yet."""

    n: OutputNumber
    p: str
    d: Raw


class Binary(Struct, frozen=True, tag_field="t", tag="binary", gc=False):
    """Bytes; in JSON as base64."""

    n: OutputNumber
    d: bytes


class Prompt(Struct, frozen=True, tag_field="t", tag="prompt", gc=False):
    """The text before the cursor; a newer one replaces it."""

    n: OutputNumber
    d: str


class Notice(Struct, frozen=True, tag_field="t", tag="notice", gc=False):
    """A line of the gateway's own. Without `n` it is volatile."""

    d: str
    n: OutputNumber | UnsetType = UNSET


class Skip(Struct, frozen=True, tag_field="t", tag="skip", gc=False):
    """The outputs up to `n` that were not sent have been replaced by newer ones."""

    n: OutputNumber


class Acked(Struct, frozen=True, tag_field="t", tag="ack", gc=False):
    """Every command up to `c` is durable."""

    c: CommandCount


class Resend(Struct, frozen=True, tag_field="t", tag="resend", gc=False):
    """Commands from `c` on are missing: send them (again)."""

    c: CommandNumber


class Pong(Struct, frozen=True, tag_field="t", tag="pong", gc=False):
    """The answer to `ping`."""


class InputMode(Struct, frozen=True, tag_field="t", tag="mode", gc=False):
    """The input mode: `line`, `key` or `secret`."""

    d: str


class Login(Struct, frozen=True, tag_field="t", tag="login", omit_defaults=True):
    """The user must log in. `error` says why the last attempt failed."""

    error: str = ""
    retry_ms: int = 0


class Auth(Struct, frozen=True, tag_field="t", tag="auth", omit_defaults=True):
    """The client must give a token that proves who it is, with `auth`.

    `error` says why what it has given is not accepted. `left_ms` is how long what it gave before
    is still good: after that, the connection ends.
    """

    error: str = ""
    left_ms: int = 0


class Profiles(Struct, frozen=True, tag_field="t", tag="profiles", omit_defaults=True):
    """The user must choose one of these, or create one."""

    d: tuple[Any, ...]
    error: str = ""


class Offer(Struct, frozen=True, tag_field="t", tag="offer"):
    """There is another session of the same user; `{"t":"resume"}` takes it up."""

    d: str


class Code(Struct, frozen=True, tag_field="t", tag="code"):
    """The answer to `code`: the code takes the session over from another client.

    It is valid until the client that used it has acknowledged its new token.
    """

    d: str


class Refused(Struct, frozen=True, tag_field="t", tag="refused", omit_defaults=True):
    """The token or code is not valid. The client may send `hello` without it.

    With `retry_ms`, it was not checked because of a rate limit: the client keeps it and retries
    after that time.
    """

    reason: str
    retry_ms: int = -1


class Bye(Struct, frozen=True, tag_field="t", tag="bye"):
    """The connection ends. With a negative `retry_ms`, the client does not reconnect by itself."""

    code: int
    reason: str
    text: str
    retry_ms: int


# --- client → server


class Hello(Struct, frozen=True, tag_field="t", tag="hello", rename={"attempt": "try"}):
    """The first message. Empty: a new session."""

    token: str = ""
    code: str = ""
    epoch: str = ""
    last: OutputNumber = 0
    acked: CommandCount = 0
    """The newest command that was acknowledged to the client: it cannot send it again."""
    attempt: Attempt = 0
    """Counts the client's connections: one that was overtaken by a later one is too late."""
    auth: str = ""
    """A JSON Web Token that proves who the user is, where the gateway asks for one. Not to be
    confused with `token`, which is the session's."""
    client: Name = ""
    width: Characters = 0
    height: Characters = 0
    binary: bool = False


class Command(Struct, frozen=True, tag_field="t", tag="cmd", gc=False):
    c: CommandNumber
    d: str


class DataCommand(Struct, frozen=True, tag_field="t", tag="data", gc=False):
    c: CommandNumber
    p: str
    d: Raw


class BinaryCommand(Struct, frozen=True, tag_field="t", tag="binary", gc=False):
    c: CommandNumber
    d: bytes


class InterruptCommand(Struct, frozen=True, tag_field="t", tag="interrupt", gc=False):
    c: CommandNumber


class Ack(Struct, frozen=True, tag_field="t", tag="ack", gc=False):
    n: OutputNumber


class Ping(Struct, frozen=True, tag_field="t", tag="ping", gc=False):
    """A sign of life that asks for one, with an acknowledgement."""

    n: OutputNumber = 0


class Resize(Struct, frozen=True, tag_field="t", tag="resize", gc=False):
    width: Characters
    height: Characters


class LoginClaim(Struct, frozen=True, tag_field="t", tag="login"):
    username: str = ""
    password: str = ""
    token: str = ""


class AuthClaim(Struct, frozen=True, tag_field="t", tag="auth"):
    """A JSON Web Token that proves who the user is: the answer to `auth`, or a newer one."""

    token: str


class Profile(Struct, frozen=True, tag_field="t", tag="profile", omit_defaults=True):
    """Choose a profile by `id`, or create one by `name`."""

    id: str = ""
    name: str = ""
    properties: dict[str, str] = {}
    """Of a new one, as the application understands them."""


class ResumeOwn(Struct, frozen=True, tag_field="t", tag="resume"):
    """Take up the session that was offered."""


class CodeWanted(Struct, frozen=True, tag_field="t", tag="code"):
    """Give a resume code, to go on at another client."""


class Quit(Struct, frozen=True, tag_field="t", tag="quit"):
    """The client ends the session."""


ClientMessage = (
    Hello
    | Command
    | DataCommand
    | BinaryCommand
    | InterruptCommand
    | Ack
    | Ping
    | Resize
    | LoginClaim
    | AuthClaim
    | Profile
    | ResumeOwn
    | CodeWanted
    | Quit
)
ServerMessage = (
    Welcome
    | Resumed
    | Reset
    | Token
    | Text
    | Formatted
    | Data
    | Binary
    | Prompt
    | Notice
    | Skip
    | Acked
    | Resend
    | Pong
    | InputMode
    | Login
    | Auth
    | Profiles
    | Offer
    | Code
    | Refused
    | Bye
)
