"""The interface of adapters: their events and their calls.

Inbound, an adapter turns bytes into `Event`s: the items of `core.items`, and the small values
below. Outbound, it is called with the events of the session and queues bytes. It does no I/O
and knows no session; the `Driver` of a connection uses it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from msgspec import Struct

from holdfast.core.errors import Disconnect, Reason
from holdfast.core.items import Binary, Data, Interrupt, Output, Resized, Text
from holdfast.core.login import ProfileSummary
from holdfast.core.rate import Rate
from holdfast.net.security_log import SecurityEvent
from holdfast.sessions.records import Capabilities
from holdfast.sessions.session import Position, ResetReason

TOKEN_BYTES: Final = 64
"""The cost of a protocol unit in addition to its bytes, however small it is."""


# --- inbound: what an adapter reports, beside items


class Enter(Struct, frozen=True, array_like=True, tag=True):
    """The client is ready for a session: a new one, or the one that it can prove to hold."""

    token: str = ""
    code: str = ""
    position: Position | None = None
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


class ProfileWanted(Struct, frozen=True, array_like=True, tag=True):
    """A profile is chosen by its id, or a new one asked for by name."""

    id: str = ""
    name: str = ""


class CodeWanted(Struct, frozen=True, array_like=True, tag=True):
    """The user wants to continue at another client, and requests a resume code."""


class TokenWanted(Struct, frozen=True, array_like=True, tag=True):
    """The client has begun to count outputs, and needs a token to resume with."""


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
    | ProfileWanted
    | CodeWanted
    | TokenWanted
    | AbortOutput
    | Left
    | Broken
    | PlainHttp
)


# --- outbound: what happened to the session


class Welcomed(Struct, frozen=True):
    """A new session."""

    sid: str
    epoch: str
    token: str
    code: str
    heartbeat_seconds: float


class Resumption(Struct, frozen=True):
    """A resumed session. The missed output follows."""

    sid: str
    epoch: str
    token: str
    code: str
    heartbeat_seconds: float
    first: int
    """The number of the first output that follows."""
    last: int
    """The number of the last one there is."""
    maybe_delivered: int
    """Up to this number, the client may have seen what follows (if it does not count)."""
    lost: int
    """How many outputs before `first`, which the client has not seen, could not be kept."""
    cin: int
    """The client's newest command that was taken in."""
    unsure: int = 0
    """How many of those before, which it may have seen, could not be kept."""
    assumed_seconds: float = 0.0
    """If above 0: what was written longer than this before the connection was lost counts as
    delivered, by nothing but its age."""


def gone(resumption: Resumption, what: str) -> list[str]:
    """The text for users about output that is not shown again; `what` is one of it."""
    told = []
    if resumption.assumed_seconds:
        seconds = f"{resumption.assumed_seconds:.0f} seconds"
        told.append(f"What came more than {seconds} before you were cut off is not shown again.")
    if resumption.unsure:
        count = _count(resumption.unsure, what)
        told.append(f"{count}, which you may have seen, could not be kept.")
    if resumption.lost:
        told.append(f"{_count(resumption.lost, what)} could not be kept.")
    return told


def _count(number: int, what: str) -> str:
    return f"{number} older {what}{'' if number == 1 else 's'}"


class Restart(Struct, frozen=True):
    """A resumed session whose client must clear its display."""

    sid: str
    epoch: str
    token: str
    heartbeat_seconds: float
    reason: ResetReason
    top: int
    """Output continues after this number."""
    cin: int


class LoginNeeded(Struct, frozen=True):
    """The user must log in; `error` says why the last attempt failed."""

    error: str = ""
    retry_seconds: float = 0.0


class ChooseProfile(Struct, frozen=True):
    """The user must choose a profile."""

    profiles: Sequence[ProfileSummary]
    error: str = ""


class Adapter(Protocol):
    """One connection's translation. Methods that queue bytes return nothing; the bytes are
    fetched with `data_to_send`. `now` is the runtime's time."""

    @property
    def protocol(self) -> str:
        """Its name for users and applications: `telnet`, `websocket`, `tcp` …"""

    @property
    def numbered(self) -> bool:
        """Whether its client numbers commands."""

    @property
    def wants_token(self) -> bool:
        """Whether its client can keep a token."""

    @property
    def takes_tokens(self) -> bool:
        """Whether its client takes another token while it is connected."""

    @property
    def wants_code(self) -> bool:
        """Whether its user can type a code."""

    @property
    def pings(self) -> bool:
        """Whether `heartbeat` makes a living client answer."""

    @property
    def input_rate(self) -> Rate:
        """How much its client may send, in bytes."""

    @property
    def slice_bytes(self) -> int:
        """The most bytes for one call of `receive_data`."""

    @property
    def tokens(self) -> int:
        """How many units of the protocol have come that are no lines: each costs something."""

    def begin(self, now: float) -> list[Event]:
        """The connection is there."""

    def receive_data(self, data: bytes, now: float) -> list[Event]:
        """Return the events in `data`. Never raises for bytes of a client."""

    def receive_eof(self) -> list[Event]:
        """The client sends nothing more."""

    def data_to_send(self) -> bytes:
        """Return the queued bytes, once."""

    def next_deadline(self) -> float | None:
        """When `handle_timer` wants to be called."""

    def handle_timer(self, now: float) -> list[Event]:
        """A deadline has passed."""

    def encode(self, first: int, items: Sequence[Output | None]) -> bytes:
        """Outputs numbered from `first` on, for the caller to write. Hot path."""

    def encode_volatile(self, item: Output) -> bytes:
        """An output without a number."""

    def welcome(self, welcomed: Welcomed) -> None:
        """The session is new."""

    def begin_session(self) -> None:
        """The session is active: input is for the application now."""

    def resume(self, resumption: Resumption) -> None:
        """The session is resumed. The outputs come through `encode`, then `caught_up`."""

    def mark_maybe_delivered(self, upto: int) -> None:
        """Outputs up to this number the client, which does not count, may have seen before."""

    def caught_up(self, resumption: Resumption) -> None:
        """The missed output was shown; new output follows."""

    def restart(self, restart: Restart) -> None:
        """The session is resumed, but the client must clear its display."""

    def refuse(self, text: str, retry_seconds: float | None = None) -> None:
        """The token or code is refused. With `retry_seconds` it was not checked: the client may
        retry after that time."""

    def offer(self, text: str) -> None:
        """The user has another session, which `ResumeOwn` takes over."""

    def tell_code(self, code: str) -> None:
        """The answer to `CodeWanted`."""

    def tell_token(self, sid: str, token: str, epoch: str, seq: int) -> None:
        """The answer to `TokenWanted`: the client has the outputs up to number `seq`."""

    def ask_login(self, need: LoginNeeded) -> None:
        """Ask the user to log in."""

    def ask_profile(self, choice: ChooseProfile) -> None:
        """Ask which profile."""

    def acknowledge(self, cin: int) -> None:
        """Commands up to `cin` are durable."""

    def ask_resend(self, c: int) -> None:
        """Commands from `c` on are missing."""

    def probe(self, number: int) -> bool:
        """Ask for proof that outputs up to `number` have arrived; it comes as `Proven`.

        False if the client cannot be asked, or owes an answer already.
        """

    def heartbeat(self) -> None:
        """Ask for a sign of life. Only where `pings`."""

    def set_input_mode(self, mode: str) -> None:
        """`line`, `key` or `secret`."""

    def goodbye(self, disconnect: Disconnect, text: str, retry_seconds: float) -> bool:
        """Say why the connection ends. True if the client is to close first."""
