"""Limits of what is behind sessions."""

from __future__ import annotations

from holdfast.core.limits.base import KIB, MIB, Group


class LinkLimits(Group, frozen=True, forbid_unknown_fields=True):
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
    """The time for an application to answer which commands of sessions it remembers, since it has
    read the question; and to read that sessions of it go to another node."""
    return_seconds_max: float = 3.0
    """From the start of a gateway: so long a session waits for the instance that held it."""
    elsewhere_seconds_max: float = 30.0
    """In an application: since a node gave a session away, until another instance is believed to
    hold it. Longer than a node that dies with it is fenced, recovered and linked to again."""
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


class UpstreamLimits(Group, frozen=True, forbid_unknown_fields=True):
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


class HttpLimits(Group, frozen=True, forbid_unknown_fields=True):
    """Backends that are a URL."""

    requests_max: int = 256
    """Requests of one backend at one time, one for each session."""
    events_max: int = 64
    """Events in one request."""
    events_bytes_max: int = 64 * KIB
    """Commands in one request. The command that exceeds it is still sent."""
    closed_max: int = 10_000
    """Sessions that have ended and whose last events are not sent yet. Beyond it, the oldest are
    given up."""
    connect_seconds_max: float = 5.0
    """To connect, TLS included."""
    request_seconds_max: float = 30.0
    """From a request to the end of its answer."""
    answer_bytes_max: int = 1 * MIB
    """The body of one answer."""
    items_max: int = 1_000
    """Items in one answer."""
    backoff_seconds_max: float = 30.0
    """The longest pause between two attempts at one request, or at loading the sessions."""
    retry_after_seconds_max: float = 300.0
    """The longest `Retry-After` that is respected."""


class TerminalLimits(Group, frozen=True, forbid_unknown_fields=True):
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
    last_output_seconds_max: float = 30.0
    """Without a sign that the client has shown more of the output of a terminal that has ended;
    then its session ends, too."""
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
