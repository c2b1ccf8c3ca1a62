"""Limits of connections, by the protocol that they speak."""

from __future__ import annotations

from holdfast.core.limits.base import KIB, MIB, Group


class ConnectionLimits(Group, frozen=True, forbid_unknown_fields=True):
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
    """Sockets of one IP address (IPv6: of one /64 network) with an unfinished TLS handshake, also
    after START_TLS; in any case at most half of `connections_max`. Trusted proxies are exempt."""
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
    last_output_seconds_max: float = 60.0
    """From our close, while unsent output is left and the peer takes some in each
    `close_seconds_max`."""
    linger_seconds_max: float = 1.0
    """Without a byte from a peer that has our last words and may still be sending."""
    refusals_max: int = 64
    """Refused clients of WebSocket listeners that have their answer and may still read it."""
    backlog_max: int = 4096
    """Connections that the kernel holds for us before we accept them."""
    accept_pause_seconds_max: float = 0.5
    """How long nothing is accepted when there are no more files (EMFILE), or too much at once."""
    certificate_check_seconds_max: float = 1.0
    """From a change of a certificate's file to its use."""


class WebSocketLimits(Group, frozen=True, forbid_unknown_fields=True):
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


class PageLimits(Group, frozen=True, forbid_unknown_fields=True):
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


class TelnetLimits(Group, frozen=True, forbid_unknown_fields=True):
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
    clear; one that has agreed, and sends more before TLS, is closed."""
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


class LineLimits(Group, frozen=True, forbid_unknown_fields=True):
    """Raw TCP and Unix clients that speak lines."""

    line_bytes_max: int = 16 * KIB
    """A longer line is discarded."""
    bytes_per_second_max: float = 64.0 * KIB
    """Input, sustained. More is read later."""
    bytes_burst_max: int = 512 * KIB
    """Input at once, beyond the sustained rate."""


class AuthLimits(Group, frozen=True, forbid_unknown_fields=True):
    """The credentials of clients, on a listener with `auth`."""

    token_bytes_max: int = 8 * KIB
    """A JSON Web Token."""
    keys_bytes_max: int = 256 * KIB
    """The keys of an issuer, as a file or as the answer of an address."""
    keys_seconds_max: float = 5.0
    """To fetch the keys of an issuer."""
    keys_age_seconds_max: float = 600.0
    """Fetched keys are fetched again after this time."""
    keys_stale_seconds_max: float = 86_400.0
    """While the issuer does not answer, its keys are used for so long."""
    key_lookups_per_minute_max: float = 6.0
    """Fetches because a token names an unknown key, sustained."""
    key_lookup_burst_max: int = 2
    """The same at once."""
