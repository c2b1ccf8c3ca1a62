"""Limits of sessions and of their store."""

from __future__ import annotations

from holdfast.core.limits.base import KIB, MIB, Group


class SessionLimits(Group, frozen=True, forbid_unknown_fields=True):
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
    node_input_bytes_max: int = 256 * MIB
    """Input of all clients of one node that waits, or belongs to an incomplete message, but for the
    first 4 KiB of each. Beyond it, connections are closed, first the one with most of the network
    (IPv6: /64) with most."""
    node_output_bytes_max: int = 256 * MIB
    """Unsent output of all clients of one node, but for those that have at most 4 KiB. Beyond it,
    connections are closed, first the one with most of the network (IPv6: /64) with most. Their
    sessions can be resumed."""
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
    more, and what was compressed also as much as it becomes. More is read later."""
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
    invitations_max: int = 8
    """Invitations of one session, for viewers, at one time."""
    invitation_seconds_max: float = 86_400.0
    """How long an invitation is good, whatever its session's client asks for."""
    viewers_max: int = 20
    """Viewers of one session."""
    viewer_unacknowledged_max: int = 384 * KIB
    """So far output goes on to a viewer that acknowledges nothing: numbers of outputs, and bytes
    of a terminal."""
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
    life_events_max: int = 2_000
    """Events of all sessions (opened, resumed, detached …) that are kept for `holdfast explain`."""
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


class StoreLimits(Group, frozen=True, forbid_unknown_fields=True):
    """The group commit."""

    commit_seconds_max: float = 0.005
    """News waits at most this long before its commit begins."""
    gather_seconds_max: float = 0.001
    """A commit that somebody waits for waits at most this long for those who waited for the one
    before."""
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
    """How long to wait for a database that another process has locked, or that cannot be
    reached."""
    answer_seconds_max: float = 10.0
    """How long a PostgreSQL server may take to answer."""
    beat_seconds_max: float = 1.0
    """The time between two signs of life of a gateway whose store other gateways can use."""
    lease_seconds_max: float = 4.0
    """How long a gateway may give no sign of life before another one takes its sessions."""
    claim_seconds_max: float = 6.0
    """How long a client waits for its session from another node; then it is told to connect
    again. One whose session moves on meanwhile begins no further wait after that time."""
    move_seconds_max: float = 0.05
    """The time between two looks for sessions that other nodes want, or that they have given."""
    moved_sessions_max: int = 250
    """Sessions that are given to other nodes, or taken from them, in one step."""
    unlinked_seconds_max: float = 5.0
    """How long an application may be linked to other nodes only, before its sessions go there."""
    clock_seconds_max: float = 60.0
    """How much the clocks of a gateway and of its PostgreSQL server may differ."""
