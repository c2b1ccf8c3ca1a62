"""The messages of the link as data types (docs/link.md).

A frame is a 4-byte big-endian length and a MessagePack body: a request `[0, id, method,
params]`, a response `[1, id, error, result]` or a notification `[2, method, params]`. Unknown
fields are ignored; an unknown method is answered with an error.
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Raw, Struct, field

from holdfast.core.identity import NO_FACTS, ClientFacts
from holdfast.core.items import INPUT_MODES as INPUT_MODES
from holdfast.core.items import Binary, Data, Interrupt, Output, Resized, Text
from holdfast.core.limits import SessionLimits
from holdfast.core.login import Authenticate as Authenticate
from holdfast.core.login import AuthResult as AuthResult
from holdfast.core.login import ProfileSummary as ProfileSummary
from holdfast.sessions.records import Capabilities

PROTOCOL: Final = 1

Number = Annotated[int, Meta(ge=0, le=(1 << 53) - 1)]
"""Numbers of commands and outputs: numbers that every language holds exactly."""


# --- the envelope


class Request(Struct, frozen=True, array_like=True, tag=0):
    id: int
    method: str
    params: Raw


class Response(Struct, frozen=True, array_like=True, tag=1):
    id: int
    error: LinkFault | None
    result: Raw


class Notification(Struct, frozen=True, array_like=True, tag=2):
    method: str
    params: Raw


class LinkFault(Struct, frozen=True, omit_defaults=True):
    """Why a request failed."""

    code: str
    message: str
    retry_s: float = 0.0


Message = Request | Response | Notification


# --- the handshake: application → gateway


class SessionInfo(Struct, frozen=True, omit_defaults=True):
    """A session as an application sees it."""

    sid: str
    state: str
    user: str = ""
    properties: dict[str, str] = field(default_factory=dict)
    profile: str = ""
    data: bytes = b""
    groups: list[str] = field(default_factory=list)
    capabilities: Capabilities = field(default_factory=Capabilities)
    address: str = ""
    protocol: str = ""
    applied: int = 0
    """The newest command that the application has reported as applied."""
    client: ClientFacts = NO_FACTS
    """What is known of the client's connection, or of the one before."""
    resync: str = ""
    """If not empty: the client came back meanwhile and may have missed output, for this reason."""
    gen: int = 0
    """How many nodes of the gateway have had it: what an earlier one tells late does not count. 0:
    there is one node only."""

    @property
    def attached(self) -> bool:
        """Whether a client is connected to it."""
        return not self.state.startswith("detached")


class Hello(Struct, frozen=True, omit_defaults=True):
    """The first message of an application."""

    protocol: int
    app: str
    instance: str
    """One run of the application. Its outputs are numbered under this name."""
    window: Number
    """The most bytes of commands in flight: sent and not applied."""
    secret: str = ""
    applied: dict[str, Number] = field(default_factory=dict)
    """The newest command whose effect is stored, for each session that this run knows."""
    oldest: Number = 0
    """The oldest output that can still be sent: the one after the newest that was accepted."""
    sent: Number = 0
    """The newest output that was sent on an earlier link. A gateway that does not know of it has
    forgotten it, and its clients may have seen it nevertheless."""
    login: bool = False
    """Whether it authenticates users: then no session reaches it before that."""
    profiles: bool = False
    """Whether users choose a profile after the login."""
    certificates: bool = False
    """Whether it is asked first for the user of a client with a verified certificate."""
    serves: bool = True
    """Whether it is given sessions. One that is not says what it has to say, and gets no event."""
    nodes: bool = False
    """Whether it links to every node of the gateway, and so is told of them (`nodes`)."""
    run: int = 0
    """The run of this node that it was linked to before, as in its `welcome`; or 0."""


_LIMITS: Final = SessionLimits()


class Authorize(Struct, frozen=True):
    """Params of the request `authorize`, before a `hello` that is too large for an
    unauthenticated link."""

    app: str
    secret: str


class Bounds(Struct, frozen=True):
    """The bounds of the gateway, so that an application can refuse larger values at the call."""

    output_bytes_max: int = _LIMITS.output_bytes_max
    name_bytes_max: int = _LIMITS.name_bytes_max
    data_bytes_max: int = _LIMITS.application_data_bytes_max
    groups_max: int = _LIMITS.groups_max


class NodeName(Struct, frozen=True, omit_defaults=True):
    """Result of the request `node`, which is answered before `hello`, too. It has no params."""

    node: str


class NodeAddress(Struct, frozen=True, omit_defaults=True):
    """A node that runs, and where applications link to it."""

    node: str
    link: str


class Nodes(Struct, frozen=True, omit_defaults=True):
    """Params of the notification `nodes`: all nodes that have an address, this one included."""

    nodes: list[NodeAddress]


class Inherited(Struct, frozen=True, omit_defaults=True):
    """Params of the notification `inherited`: this node has the sessions of another one, which has
    ended. Their `adopted` follow."""

    node: str
    run: int
    """Which run of that node, as in its `welcome`."""
    heard: Number
    """The newest output of this instance that the other one had stored: those after it are sent
    again, to the nodes that have their sessions."""


class Welcome(Struct, frozen=True, omit_defaults=True):
    """The answer to `Hello`."""

    gateway: str
    node: str
    heartbeat_s: float
    window: int
    """The most bytes of outputs in flight: sent and not accepted."""
    accepted: int
    """The newest output of this instance that was accepted: the ones after it are sent again."""
    sessions: list[SessionInfo]
    """The sessions that this instance held before and still holds, as far as they fit into a
    frame. Others follow as the event `adopted`."""
    bounds: Bounds = Bounds()
    forgotten: int = 0
    """How many outputs of this instance were accepted, and are not known any more."""
    nodes: list[NodeAddress] = []
    """As of `nodes`."""
    run: int = 0
    """The number of this run of the node."""
    fresh: bool = False
    """Whether neither this run of the node nor those whose numbers it continues have heard of this
    instance. What an earlier run had stored is told by the node that has `inherited` it."""


# --- gateway → application


class Opened(Struct, frozen=True, array_like=True, tag="opened"):
    """A new session."""

    info: SessionInfo


class Adopted(Struct, frozen=True, array_like=True, tag="adopted"):
    """A session that another instance held before."""

    info: SessionInfo


class CapabilitiesChanged(Struct, frozen=True, array_like=True, tag="capabilities"):
    capabilities: Capabilities


class Detached(Struct, frozen=True, array_like=True, tag="detached", gc=False):
    """The client has disconnected, and may resume."""

    reason: str


class Resumed(Struct, frozen=True, array_like=True, tag="resumed", gc=False):
    """The client is back, and has missed nothing."""

    protocol: str
    address: str
    client: ClientFacts = NO_FACTS
    """What is known of the new connection."""


class Resync(Struct, frozen=True, array_like=True, tag="resync", gc=False):
    """The client is back and may have missed output: show it where it stands."""

    reason: str
    protocol: str = ""
    address: str = ""
    client: ClientFacts = NO_FACTS


class Closed(Struct, frozen=True, array_like=True, tag="closed", gc=False):
    """The session has ended."""

    reason: str


class Moved(Struct, frozen=True, array_like=True, tag="moved", gc=False):
    """The session is another instance's now, or at another node."""

    elsewhere: bool = False
    """Whether it goes to another node, with what this instance has said until it answers the next
    request. The rest is said to the node that tells of it by `adopted`."""


Event = (
    Text
    | Binary
    | Data
    | Interrupt
    | Opened
    | Adopted
    | Resized
    | CapabilitiesChanged
    | Detached
    | Resumed
    | Resync
    | Closed
    | Moved
)


class SessionEvent(Struct, frozen=True, array_like=True, gc=False):
    """An entry of the notification `events`. `cseq` is above 0 for commands, else 0."""

    sid: str
    cseq: int
    event: Event


class TracedEvent(SessionEvent, frozen=True, array_like=True, gc=False):
    """A `SessionEvent` of a command that is traced."""

    trace: str = ""
    """The context of its span, as a `traceparent` (W3C Trace Context)."""


class ProfileCreation(Struct, frozen=True, omit_defaults=True):
    """Params of the request `profiles.create`."""

    sid: str
    name: str
    properties: dict[str, str] = field(default_factory=dict)


class ProfileChoice(Struct, frozen=True):
    """Params of the request `profiles.select`."""

    sid: str
    id: str


class ProfileQuery(Struct, frozen=True):
    """Params of the request `profiles.list`."""

    sid: str


class Remember(Struct, frozen=True):
    """Params of the request `remember`, before sessions are given to an instance. The result
    has, by session, the newest command whose effect is stored (sessions without any may be
    absent)."""

    sids: list[str]


# --- application → gateway. What changes a session carries `bseq`, which numbers an
# instance's whole output 1, 2, 3 …: a repeat after a broken link is known by it.


class Emit(Struct, frozen=True, array_like=True, gc=False):
    """An entry of the notification `emit`."""

    sid: str
    bseq: Number
    delivery: str
    item: Output


class Broadcast(Struct, frozen=True, array_like=True, gc=False):
    """Params of `broadcast`: one item for every session in a group."""

    group: str
    bseq: int
    delivery: str
    item: Output
    but: str = ""
    """A session that does not get it."""


class Applied(Struct, frozen=True, array_like=True, gc=False):
    """An entry of the notification `applied`. It is not numbered: the newest one includes
    earlier ones."""

    sid: str
    cseq: Number


class Update(Struct, frozen=True, array_like=True):
    """Params of `session.update`. `None` leaves a field unchanged."""

    sid: str
    bseq: int
    user: str | None = None
    profile: str | None = None
    data: bytes | None = None
    selected: bool | None = None
    """False takes the session back to the choice of a profile."""


class InputMode(Struct, frozen=True, array_like=True, gc=False):
    """Params of `input_mode`."""

    sid: str
    bseq: int
    mode: str


class Membership(Struct, frozen=True, array_like=True):
    """Params of `group.join` and `group.leave`."""

    group: str
    bseq: int
    sids: list[str]


class Accepted(Struct, frozen=True, array_like=True, gc=False):
    """Params of `accepted`: outputs up to `bseq` are durable."""

    bseq: int


class Refused(Struct, frozen=True, array_like=True):
    """Params of `refused`: output `bseq` was taken in, but cannot be carried out."""

    bseq: int
    message: str
    code: str = ""
    """`unknown_session`: the application has no such session."""


class Close(Struct, frozen=True):
    """Params of the request `session.close`."""

    sid: str
    reason: str = "kicked"


class Forget(Struct, frozen=True):
    """Params of the request `session.forget`."""

    sid: str


class Filter(Struct, frozen=True, omit_defaults=True):
    """Params of the request `sessions.list`. Empty fields match all."""

    user: str = ""
    state: str = ""


MEMBERS_MAX: Final = 500
"""Sessions in one answer to `group.members`."""


class MembersWanted(Struct, frozen=True, omit_defaults=True):
    """Params of the request `group.members`: members after the session `after`, by their ids."""

    group: str
    after: str = ""
    limit: int = MEMBERS_MAX


class Members(Struct, frozen=True, omit_defaults=True):
    """Result of the request `group.members`."""

    count: int
    """How many sessions are in the group."""
    attached: int
    """Those of them whose clients are connected."""
    members: list[SessionInfo] = []
    more: bool = False
    """Whether there are more after these."""


class Heartbeat(Struct, frozen=True):
    """Params and result of the request `heartbeat`."""


class Leaving(Struct, frozen=True):
    """Params and result of the request `leaving`: this instance starts no further command.

    No command follows the answer. The instance gives each session back with `release`.
    """


class Goodbye(Struct, frozen=True, omit_defaults=True):
    """Params of the notification `goodbye`: why this side closes the link."""

    reason: str
    code: str = ""
    """`superseded`: another process has linked under this instance's name; stay away.
    `shutdown`: the gateway stops."""


# --- the methods

UNKNOWN_SESSION: Final = "unknown_session"
"""Code of what is refused because the application has no such session."""
HELLO: Final = "hello"
AUTHORIZE: Final = "authorize"
HEARTBEAT: Final = "heartbeat"
GOODBYE: Final = "goodbye"
EVENTS: Final = "events"
ACCEPTED: Final = "accepted"
REFUSED: Final = "refused"
AUTHENTICATE: Final = "authenticate"
PROFILES_LIST: Final = "profiles.list"
PROFILES_CREATE: Final = "profiles.create"
PROFILES_SELECT: Final = "profiles.select"
REMEMBER: Final = "remember"
EMIT: Final = "emit"
BROADCAST: Final = "broadcast"
APPLIED: Final = "applied"
UPDATE: Final = "session.update"
CLOSE: Final = "session.close"
FORGET: Final = "session.forget"
"""Drops the commands that wait; the result is the number of the newest one."""
LIST: Final = "sessions.list"
INPUT_MODE: Final = "input_mode"
JOIN: Final = "group.join"
LEAVE: Final = "group.leave"
MEMBERS: Final = "group.members"
PUBLISH: Final = "publish"
NODE: Final = "node"
"""Which node this is."""
NODES: Final = "nodes"
INHERITED: Final = "inherited"
LEAVING: Final = "leaving"
RELEASE: Final = "release"
