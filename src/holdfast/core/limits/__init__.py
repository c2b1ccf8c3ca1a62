"""All limits, in one object.

Names end in their unit and contain `max`. Times are in seconds, sizes in bytes. An application or a
configuration file overrides values. No other module has defaults for limits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from msgspec import Struct, field, structs

from holdfast.core.errors import ConfigurationError

KIB = 1024
MIB = 1024 * KIB


class LimitError(ConfigurationError, ValueError):
    """A limit is out of range. It is a `ValueError`, so that msgspec adds the path of the field."""


class _Group(Struct, frozen=True, forbid_unknown_fields=True):
    """A group of limits: each a positive, finite number."""

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, int | float) and not 0 < value < math.inf:
                raise LimitError(f"limits: {name}: expected a number above 0, found {value!r}")


class ConnectionLimits(_Group, frozen=True, forbid_unknown_fields=True):
    """Limits of one listener and of each of its connections."""

    connections_max: int = 20_000
    """Open connections of one server."""
    connections_per_address_max: int = 2_000
    """Open connections of one IP address (IPv6: of one /64 network)."""
    accepts_per_second_max: float = 20_000.0
    """Accepted sockets, sustained. More wait in the kernel."""
    accept_burst_max: int = 20_000
    """Accepted sockets at once, beyond the sustained rate."""
    accepts_per_address_per_second_max: float = 1_000.0
    """Of one IP address (IPv6: of one /64 network), sustained. More are dropped."""
    accept_burst_per_address_max: int = 20_000
    """The same at once."""
    bytes_per_second_max: float = 1024.0 * MIB
    """Input of one connection, sustained. More is read later."""
    bytes_per_address_per_second_max: float = 4096.0 * MIB
    """Input of all connections of one address, sustained."""
    proxy_header_bytes_max: int = 4 * KIB
    """A PROXY header, where a listener expects one."""
    handshake_seconds_max: float = 10.0
    """From the accepted socket to an established protocol: TLS, upgrade, `hello`."""
    handshakes_per_address_max: int = 500
    """Sockets of one IP address (IPv6: of one /64 network) with an unfinished TLS handshake; in
    any case at most half of `connections_max`. Trusted proxies are exempt."""
    idle_seconds_max: float = 900.0
    """Without a byte from the client."""
    life_seconds_max: float = 31_536_000.0
    """From the accepted socket to the end, however busy."""
    write_buffer_bytes_max: int = 64 * KIB
    """Unsent output of one connection at which its session stops handing over more."""
    read_buffer_bytes_max: int = 256 * KIB
    """Unread input of a stream, beyond which reading from the socket stops."""
    stalled_seconds_max: float = 30.0
    """With unsent output and no progress: then the client is a slow consumer."""
    close_seconds_max: float = 5.0
    """From our close to the peer's answer; then the socket is dropped."""
    linger_seconds_max: float = 1.0
    """Without a byte from a peer that has our last words and may still be sending."""
    backlog_max: int = 4096
    """Connections that the kernel holds for us before we accept them."""
    accept_pause_seconds_max: float = 0.5
    """How long nothing is accepted when there are no more files (EMFILE), or too much at once."""
    certificate_check_seconds_max: float = 1.0
    """From a change of a certificate's file to its use."""


class WebSocketLimits(_Group, frozen=True, forbid_unknown_fields=True):
    """RFC 6455 leaves these to the implementation (section 10.4)."""

    head_bytes_max: int = 16 * KIB
    """The whole head of the opening handshake."""
    header_count_max: int = 100
    """Header fields of the opening handshake."""
    frame_bytes_max: int = 1 * MIB
    """Payload of one frame; a larger one closes the connection with 1009."""
    message_bytes_max: int = 1 * MIB
    """A peer may have so much of a message kept for it without ever finishing it."""
    message_seconds_max: float = 120.0
    """From the beginning of a message to its end. `holdfast.websocket` looks at each ping."""
    fragments_max: int = 16_384
    """Frames of one message."""
    inflated_bytes_max: int = 32 * MIB
    """Decompressed size of one read, if no single message may be larger."""
    heartbeat_seconds_max: float = 30.0
    """Without a byte from the client before it is pinged."""
    pings_max: int = 64
    """Unanswered pings on one connection."""
    queue_messages_max: int = 64
    """Messages that a program has not read yet, at which no more are taken from the socket."""
    queue_bytes_max: int = 64 * KIB
    """The same in bytes. The message that exceeds it is still accepted."""
    messages_per_second_max: float = 1_000_000.0
    """Of one connection, sustained; more closes it with 1008."""
    message_burst_max: int = 100_000
    """Messages at once, beyond the sustained rate."""
    bytes_per_second_max: float = 1024.0 * MIB
    """From one connection's socket, sustained; more closes it with 1008."""
    bytes_burst_max: int = 256 * MIB
    """The same at once."""


class PageLimits(_Group, frozen=True, forbid_unknown_fields=True):
    """Connections that are served pages, beside the limits of every connection."""

    head_bytes_max: int = 16 * KIB
    """The head of one request."""
    header_count_max: int = 100
    """Header fields of one request."""
    head_seconds_max: float = 10.0
    """From the first byte of a request to the end of its head."""
    body_seconds_max: float = 60.0
    """From the end of a request's head to the end of its body."""
    idle_seconds_max: float = 75.0
    """From one answer to the next request."""


class TelnetLimits(_Group, frozen=True, forbid_unknown_fields=True):
    """Limits of one Telnet client."""

    bytes_per_second_max: float = 64.0 * KIB
    """Input, sustained; a line and a command of the protocol count 64 bytes more. More is read
    later."""
    bytes_burst_max: int = 512 * KIB
    """Input at once, beyond the sustained rate."""
    line_chars_max: int = 6_000
    """A longer line is discarded."""
    subnegotiation_bytes_max: int = 1 * KIB
    """Payload of one subnegotiation, but for GMCP."""
    gmcp_bytes_max: int = 64 * KIB
    """Payload of one GMCP message."""
    gmcp_depth_max: int = 32
    """Arrays and objects within each other in one message."""
    msdp_depth_max: int = 16
    """Arrays and tables within each other in one value."""
    subnegotiation_overflows_max: int = 3
    """Overlong subnegotiations before the connection is closed."""
    subnegotiation_seconds_max: float = 10.0
    """An unfinished subnegotiation is given up after this time."""
    negotiations_per_second_max: float = 64.0
    """Commands and subnegotiations, but for GMCP and the marks of prompts, sustained."""
    negotiation_burst_max: int = 256
    """The same at once."""
    negotiation_seconds_max: float = 2.0
    """Silence is taken for refusal after this time; late answers still count."""
    queue_lines_max: int = 64
    """Lines that wait for a program (`holdfast.telnet`); more are read later."""
    start_tls_bytes_max: int = 4 * KIB
    """Input that is kept while a peer has not answered START_TLS; with more, it goes on in the
    clear."""
    inflate_bytes_max: int = 4 * KIB
    """Decompressed size of one step (MCCP), and what there may be beyond the ratio below."""
    inflate_ratio_max: int = 32
    """Decompressed bytes for each compressed byte of a client, over a whole connection (MCCP)."""
    server_inflate_ratio_max: int = 256
    """The same of a server that was connected to, whose screens may be little but spaces."""
    terminal_types_max: int = 4
    """Names that a client is asked for (RFC 1091, MTTS)."""
    name_chars_max: int = 40
    """The length of a client's or terminal's name."""
    environment_variables_max: int = 32
    """Variables that are kept of a client (NEW-ENVIRON); each is cut to `name_chars_max`."""
    columns_max: int = 500
    """The widest window that is reported."""
    rows_max: int = 300
    """The highest window that is reported."""
    resize_seconds_max: float = 0.1
    """From a new window size to its event; of several sizes, only the last is reported."""


class LineLimits(_Group, frozen=True, forbid_unknown_fields=True):
    """Raw TCP and Unix clients that speak lines."""

    line_bytes_max: int = 16 * KIB
    """A longer line is discarded."""
    bytes_per_second_max: float = 64.0 * KIB
    """Input, sustained. More is read later."""
    bytes_burst_max: int = 512 * KIB
    """Input at once, beyond the sustained rate."""


class SessionLimits(_Group, frozen=True, forbid_unknown_fields=True):
    """Limits of one session."""

    sessions_max: int = 100_000
    """On one node. A new one takes the place of the detached session without a user that has
    waited longest, before anybody is turned away."""
    sessions_per_network_max: int = 10_000
    """Of the clients of one IP address (IPv6: of one /64 network); likewise."""
    sessions_per_user_max: int = 100
    """Of one user of one application; the session detached longest makes room."""
    node_windows_bytes_max: int = 1024 * MIB
    """Output in all windows of one node. Beyond it, windows of detached sessions are dropped,
    in the order in which their sessions would make room, and each client is told."""
    node_queues_bytes_max: int = 256 * MIB
    """Commands in all queues of one node. Beyond it, no commands are taken."""
    window_messages_max: int = 256
    """Outputs kept for a client that has not acknowledged them."""
    window_bytes_max: int = 64 * KIB
    """The same in bytes."""
    unsent_bytes_max: int = 1 * MIB
    """Unsent output of a connected client. A client that is further behind is detached."""
    window_age_seconds_max: float = 3_600.0
    """How long an output is kept for a client that has not acknowledged it."""
    queue_messages_max: int = 256
    """Commands kept for an application that has not applied them."""
    queue_bytes_max: int = 64 * KIB
    """A single message of a client."""
    forwarded_bytes_max: int = 16 * KIB
    """Commands in flight of one session: sent to the application and not applied. The command
    that exceeds it is still sent."""
    command_runs_max: int = 3
    """Runs of an application that may die with one command under way; then it is set aside."""
    suspect_seconds_max: float = 2.0
    """So long is a command tried apart from others that was under way when a run died. After
    several runs have died with it, the next must first last as long without it."""
    command_lines_max: int = 100
    """Lines in one text of a client. One with more is refused."""
    bytes_per_command_max: int = 640
    """A larger command counts as several in the rate of commands: 64 kB/s, as that is."""
    commands_per_second_max: float = 100.0
    """Of one client, sustained. A text of several lines counts as so many."""
    command_burst_max: int = 400
    """Burst of commands. More is delayed, and the client is not read meanwhile."""
    input_bytes_per_second_max: float = 1024.0 * KIB
    """Of one WebSocket client, sustained; each message, fragment and control frame counts 64 bytes
    more. More is read later."""
    input_burst_bytes_max: int = 8 * MIB
    """The same at once."""
    input_bytes_per_network_per_second_max: float = 2.0 * MIB
    """Of all clients of one IP address (IPv6: of one /64 network), of any kind, counted likewise.
    More is read later."""
    input_burst_bytes_per_network_max: int = 8 * MIB
    """The same at once."""
    detached_seconds_max: float = 3_600.0
    """How long a detached session is kept, with its token and its code."""
    unclaimed_seconds_max: float = 60.0
    """The same for a session that has no user and for which the application has kept nothing
    (data, a profile, a group)."""
    attach_failures_per_minute_max: float = 10.0
    """Wrong tokens and codes from one address, sustained."""
    attach_failure_burst_max: int = 20
    """The same at once."""
    node_attach_failures_per_second_max: float = 5.0
    """Wrong codes from all networks, sustained. Beyond it the log warns, and each network may
    try one wrong code at a time."""
    node_attach_failure_burst_max: int = 200
    """The same at once."""
    asked_code_seconds_max: float = 600.0
    """How long a resume code is good that a client has asked for, to go on elsewhere."""
    login_seconds_max: float = 300.0
    """From the request to log in to the login."""
    login_failures_per_minute_max: float = 20.0
    """Wrong logins from one IP address (IPv6: from one /64 network), sustained."""
    login_failure_burst_max: int = 40
    """The same at once, and attempts that are being judged at one time."""
    login_failures_per_user_per_minute_max: float = 10.0
    """Wrong logins with one user's name, from anywhere, sustained."""
    login_failure_burst_per_user_max: int = 30
    """The same at once."""
    login_attempts_max: int = 5
    """Wrong passwords on one connection."""
    output_bytes_max: int = 512 * KIB
    """One output of an application. A larger one is refused at the call."""
    name_bytes_max: int = 256
    """The name of a user, a profile or a group, and the key of a `latest` output."""
    application_data_bytes_max: int = 8 * KIB
    """The data of an application in one session."""
    groups_max: int = 64
    """Groups of one session."""
    unproven_seconds_max: float = 10.0
    """Age at which output counts as delivered for a client that cannot be asked. The client is
    told so when it resumes."""
    acknowledging_seconds_max: float = 0.5
    """The time for a client's kernel to acknowledge output that has reached it."""
    probe_interval_seconds_max: float = 5.0
    """At most one delivery probe in this time."""
    probe_misses_max: int = 2
    """Probes a client may leave unanswered before it gets no more."""


class LinkLimits(_Group, frozen=True, forbid_unknown_fields=True):
    """The link between gateway and application."""

    frame_bytes_max: int = 16 * MIB
    """One frame of the link."""
    batch_bytes_max: int = 1 * MIB
    """The frame size at which output to the peer is split."""
    window_bytes_max: int = 4 * MIB
    """Bytes in flight: outputs that are not accepted, or commands that are not applied."""
    handshake_seconds_max: float = 10.0
    """From the accepted socket to the `hello` of an application."""
    heartbeat_seconds_max: float = 15.0
    """Between two heartbeats; a peer that is silent for three is disconnected."""
    request_seconds_max: float = 30.0
    """From a request to its answer."""
    reconnect_seconds_max: float = 5.0
    """The longest pause between two attempts to dial."""
    remember_seconds_max: float = 10.0
    """The time for an application to answer which commands of sessions it remembers."""
    return_seconds_max: float = 3.0
    """From the start of a gateway: so long a session waits for the instance that held it."""
    runs_max: int = 1_000
    """Unlinked instances of each application whose counts are remembered."""
    run_seconds_max: float = 3_600.0
    """From the last link of an instance until its counts are forgotten."""
    links_max: int = 64
    """Applications linked at one time."""
    strangers_max: int = 128
    """Links without a `hello`. A new one closes the oldest."""
    strangers_per_address_max: int = 16
    """The same, of one IP address (IPv6: of one /64 network)."""
    hello_bytes_max: int = 64 * KIB
    """A frame of a link that must show a secret, and has not."""
    finish_seconds_max: float = 5.0
    """How long an application that stops waits for its handlers and for their outputs."""


class StoreLimits(_Group, frozen=True, forbid_unknown_fields=True):
    """The group commit."""

    commit_seconds_max: float = 0.005
    """News waits at most this long before its commit begins."""
    commit_sessions_max: int = 1_000
    """Sessions with news at which a commit begins at once."""
    journal_bytes_max: int = 16 * MIB
    """Size of the journal at which its compaction begins."""
    snapshot_bytes_max: int = 256 * KIB
    """Of snapshots in one commit, while the journal is being cleaned."""
    dropped_bytes_max: int = 512 * KIB
    """Of the journal that one commit drops, once its compaction is over."""
    retry_seconds_max: float = 1.0
    """Between two attempts to write to a store that failed."""
    check_seconds_max: float = 5.0
    """Without a commit before it is checked that the store's file is still there."""
    busy_seconds_max: float = 2.0
    """How long to wait for a database that another process has locked."""


class UpstreamLimits(_Group, frozen=True, forbid_unknown_fields=True):
    """The servers that a listener's clients are passed on to."""

    connections_max: int = 10_000
    """Open connections to one server."""
    connect_seconds_max: float = 5.0
    """One attempt to connect, TLS included."""
    dial_seconds_max: float = 15.0
    """From the first attempt until the client is told that no server can be reached."""
    attempts_max: int = 4
    """Connections that are tried for one client before it is told that no server answers."""
    backoff_seconds_max: float = 2.0
    """Between two attempts, once every server has been tried."""
    failures_max: int = 3
    """Failures in a row at which a server is left alone for a while."""
    broken_seconds_max: float = 30.0
    """The longest time for which a server is left alone before it is tried again."""
    check_interval_seconds_max: float = 5.0
    """Between two checks of one server."""
    check_seconds_max: float = 2.0
    """One check: from the first packet to the accepted connection."""
    checks_max: int = 2
    """Equal results in a row before a server counts as up or down."""
    ready_seconds_max: float = 60.0
    """A connection that is kept ready is used within this time, or closed and made anew."""
    idle_seconds_max: float = 7_200.0
    """Without a byte in either direction."""
    write_buffer_bytes_max: int = 256 * KIB
    """Bytes to be sent, in each direction, beyond which reading from the other side stops."""
    redial_seconds_max: float = 600.0
    """With `on_server_lost = "redial"`: without a server that lasts, a session ends after this."""
    waiting_seconds_max: float = 120.0
    """With `on_server_lost = "redial"`: a new client waits so long for a server that cannot be
    reached; then its session ends."""
    redial_pause_seconds_max: float = 15.0
    """Between two attempts then."""
    prompt_seconds_max: float = 0.2
    """A line without its end that nothing has followed for so long is a prompt."""


class TerminalLimits(_Group, frozen=True, forbid_unknown_fields=True):
    """Terminals: sessions on SSH servers, and on commands of this machine."""

    terminals_max: int = 1_000
    """On one node, logins under way among them."""
    terminals_per_network_max: int = 100
    """Of the clients of one IP address (IPv6: of one /64 network)."""
    terminals_per_target_max: int = 500
    """On one server, or of one command."""
    terminals_per_user_max: int = 50
    """Of one user of one server."""
    logins_max: int = 64
    """Connections to servers whose login is under way."""
    ring_bytes_max: int = 1 * MIB
    """Output of a terminal that is kept, for a client that comes with an empty screen."""
    unshown_bytes_max: int = 384 * KIB
    """Output that the client has not shown yet, beyond which the server is not read."""
    window_bytes_max: int = 256 * KIB
    """What a server may send before it is read (the channel's window)."""
    unsent_bytes_max: int = 256 * KIB
    """Input that waits to be sent. Beyond it, no more is taken from the client."""
    resolve_seconds_max: float = 5.0
    """For the addresses of a host's name."""
    connect_seconds_max: float = 10.0
    """To connect to a server."""
    login_seconds_max: float = 45.0
    """From the connection to the end of the login, with what the user must type for it."""
    question_seconds_max: float = 120.0
    """For the user to answer what is asked before: which server, which user, which host key."""
    keepalive_seconds_max: float = 15.0
    """Between two signs of life of a server; one that is silent for three has gone."""
    write_seconds_max: float = 60.0
    """Input that a server does not take ends the terminal after this time."""
    closing_seconds_max: float = 5.0
    """For the end of a connection or a command to be orderly; then it is cut off."""
    idle_seconds_max: float = 43_200.0
    """Without input. Output is no sign of a user."""
    login_failures_per_minute_max: float = 6.0
    """Wrong logins of one network at one server as one user, sustained."""
    login_failure_burst_max: int = 5
    """The same at once."""
    password_tries_max: int = 3
    """Passwords that one login asks for."""
    answer_chars_max: int = 32 * KIB
    """One answer: a private key, say."""
    recording_bytes_max: int = 256 * MIB
    """One recording. What comes behind it is not recorded."""


class AdminLimits(_Group, frozen=True, forbid_unknown_fields=True):
    """The admin listener."""

    connections_max: int = 64
    """Open connections to the admin listener."""
    head_bytes_max: int = 16 * KIB
    """The head of one request."""
    body_bytes_max: int = 16 * KIB
    """The body of one request."""
    request_seconds_max: float = 15.0
    """From the accepted socket to the last byte of the answer."""
    page_max: int = 1_000
    """Sessions or connections in one answer."""
    wrong_tokens_per_minute_max: float = 10.0
    """From one address, sustained."""
    wrong_token_burst_max: int = 10
    """The same at once."""


class DrainLimits(_Group, frozen=True, forbid_unknown_fields=True):
    """An orderly stop."""

    drain_seconds_max: float = 10.0
    """From the signal until the last client is notified and its socket closed."""
    retry_seconds_max: float = 2.0
    """Clients reconnect after a random part of this time."""


class Limits(Struct, frozen=True, forbid_unknown_fields=True):
    """All limits, by the part that they apply to."""

    connection: ConnectionLimits = field(default_factory=ConnectionLimits)
    websocket: WebSocketLimits = field(default_factory=WebSocketLimits)
    pages: PageLimits = field(default_factory=PageLimits)
    telnet: TelnetLimits = field(default_factory=TelnetLimits)
    line: LineLimits = field(default_factory=LineLimits)
    session: SessionLimits = field(default_factory=SessionLimits)
    link: LinkLimits = field(default_factory=LinkLimits)
    store: StoreLimits = field(default_factory=StoreLimits)
    upstream: UpstreamLimits = field(default_factory=UpstreamLimits)
    terminal: TerminalLimits = field(default_factory=TerminalLimits)
    admin: AdminLimits = field(default_factory=AdminLimits)
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
