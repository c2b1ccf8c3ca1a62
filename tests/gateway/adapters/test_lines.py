"""Clients of bare lines, and with them what every terminal has: prompts, logins, resuming."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.core.errors import DISCONNECTS, Reason
from holdfast.core.items import (
    Binary,
    Data,
    Formatted,
    Notice,
    Output,
    Prompt,
    Span,
    Text,
)
from holdfast.core.limits import LineLimits
from holdfast.gateway.adapters.events import (
    Broken,
    Capable,
    Enter,
    Event,
    Left,
    LoginGiven,
    ProfileWanted,
    ResumeOwn,
)
from holdfast.gateway.adapters.lines import LineAdapter
from holdfast.gateway.adapters.notifications import (
    CaughtUp,
    ChooseProfile,
    ClaimRefused,
    InputModeChanged,
    LoginNeeded,
    MaybeDelivered,
    Resumption,
    SessionActive,
    SessionOffered,
    Welcomed,
)
from holdfast.link.messages import ProfileSummary
from holdfast.sessions.records import Capabilities

LIMITS = LineLimits(line_bytes_max=100)
NEW = Welcomed("sid", "epoch", "", "ABCD2345", 30.0)
BANNER = b'*** If you are cut off, connect again and type "resume ABCD-2345".\n'
CAPABLE = Capable(Capabilities())


def begun() -> LineAdapter:
    """A client that has connected at time 0 and said nothing."""
    adapter = LineAdapter("tcp", LIMITS)
    assert adapter.begin(0.0) == []
    return adapter


def entered() -> LineAdapter:
    """A client with a new session that no application knows."""
    adapter = begun()
    assert adapter.handle_timer(0.3) == [CAPABLE, Enter()]
    adapter.notify(NEW)
    assert adapter.data_to_send() == BANNER
    return adapter


def active() -> LineAdapter:
    """A client with a new session that is active."""
    adapter = entered()
    adapter.notify(SessionActive())
    return adapter


def typed(adapter: LineAdapter, *lines: str) -> list[Event]:
    return adapter.receive_data("".join(f"{line}\n" for line in lines).encode(), 1.0)


@pytest.mark.parametrize("raw", [False, True])
def test_controls_are_for_servers_for_terminals(raw: bool) -> None:
    adapter = LineAdapter("tcp", LIMITS, raw=raw)
    adapter.begin(0.0)
    adapter.handle_timer(0.3)
    adapter.notify(SessionActive())
    assert typed(adapter, "a\x03\tb") == [Text("a\x03\tb" if raw else "a\tb")]


# --- the beginning


def test_a_silent_client_gets_a_session_after_a_moment() -> None:
    adapter = begun()
    assert adapter.next_deadline() == pytest.approx(0.2)
    assert adapter.handle_timer(0.2) == [CAPABLE, Enter()]
    assert adapter.next_deadline() is None
    assert adapter.handle_timer(0.4) == []


def test_who_speaks_at_once_gets_it_at_once() -> None:
    adapter = begun()
    assert adapter.receive_data(b"loo", 0.1) == []
    assert adapter.receive_data(b"k\nnorth\n", 0.1) == [CAPABLE, Enter()]
    assert adapter.next_deadline() is None
    adapter.notify(NEW)
    adapter.notify(SessionActive())
    assert adapter.receive_data(b"", 0.1) == [Text("look"), Text("north")]


RESUMING: dict[str, tuple[str, str]] = {
    "plain": ("resume ABCD-2345", "ABCD-2345"),
    "shouted": ("RESUME abcd2345efgh", "abcd2345efgh"),
    "with-spaces": ("  resume   ab cd 23 45 ef gh  ", "ab cd 23 45 ef gh"),
    "with-a-tab": ("resume\tABCD-2345", "ABCD-2345"),
}


@pytest.mark.parametrize(("line", "code"), RESUMING.values(), ids=RESUMING)
def test_the_first_line_may_resume(line: str, code: str) -> None:
    assert typed(begun(), line) == [CAPABLE, Enter(code=code, or_new=True)]
    assert typed(active(), line) == [Enter(code=code)]
    assert typed(entered(), line) == [Enter(code=code)]


@pytest.mark.parametrize("line", ["resume", "resumed ABCD-2345", "I resume ABCD-2345", "resume-it"])
def test_what_looks_nearly_like_it_is_text(line: str) -> None:
    assert typed(active(), line) == [Text(line)]


def test_resume_in_the_middle_is_text() -> None:
    adapter = active()
    assert typed(adapter, "look", "resume ABCD-2345") == [Text("look"), Text("resume ABCD-2345")]


def test_an_empty_line_is_a_line() -> None:
    adapter = active()
    assert typed(adapter, "", "resume ABCD-2345") == [Text(""), Text("resume ABCD-2345")]


def test_what_follows_a_resume_at_once_is_for_the_session_resumed() -> None:
    adapter = begun()
    assert typed(adapter, "resume ABCD-2345", "look") == [
        CAPABLE,
        Enter(code="ABCD-2345", or_new=True),
    ]
    adapter.notify(missed(0))
    adapter.notify(SessionActive())
    assert typed(adapter, "north") == [Text("look"), Text("north")]


def test_a_refused_resume_may_be_tried_again() -> None:
    adapter = begun()
    typed(adapter, "resume ABCD-2345")
    adapter.notify(ClaimRefused("it is not known"))
    assert adapter.data_to_send() == b"*** That does not resume a session: it is not known.\n"
    adapter.notify(NEW)
    adapter.notify(SessionActive())
    assert typed(adapter, "resume ABCD-2346") == [Enter(code="ABCD-2346")]


def test_a_resumed_session_is_not_left_for_another() -> None:
    adapter = active()
    adapter.notify(missed(0))
    adapter.notify(SessionActive())
    assert typed(adapter, "resume ABCD-2345") == [Text("resume ABCD-2345")]


# --- lines


def test_half_a_line_is_never_run() -> None:
    adapter = active()
    assert adapter.receive_data(b"drop all", 1.0) == []
    assert adapter.receive_eof() == [Left(done=False)]


def test_a_line_that_is_too_long_is_discarded_with_a_word() -> None:
    adapter = active()
    adapter.encode(1, [Prompt("> ")])
    assert adapter.receive_data(b"look\n" + b"x" * 101, 1.0) == [Text("look")]
    assert adapter.receive_data(b"yy\nnorth\n", 1.0) == [Text("north")]
    assert adapter.data_to_send() == (
        b"*** That line was too long and was not taken: a line has at most 100 bytes.\n"
    )


def test_behind_a_line_that_is_too_long_stands_the_prompt_again() -> None:
    adapter = active()
    adapter.encode(1, [Prompt("> ")])
    adapter.receive_data(b"x" * 101, 1.0)
    assert adapter.data_to_send().endswith(b" bytes.\n> ")


STRANGERS: dict[str, tuple[bytes, bytes]] = {
    "http": (b"GET / HTTP/1.1\r\nHost: x\r\n", b"This port speaks lines of text.\n"),
    "ssh": (b"SSH-2.0-x\r\n", b"This port speaks lines of text.\n"),
    "tls": (b"\x16\x03\x01", b"\x15\x03\x01\x00\x02\x02\x28"),
}


@pytest.mark.parametrize(("data", "answer"), STRANGERS.values(), ids=STRANGERS)
@pytest.mark.parametrize("size", [1, 100])
def test_who_speaks_another_protocol_is_turned_away(data: bytes, answer: bytes, size: int) -> None:
    adapter = begun()
    events: list[Event] = []
    for start in range(0, len(data), size):
        events += adapter.receive_data(data[start : start + size], 0.1)
        if events:
            break
    (event,) = events
    assert isinstance(event, Broken)
    assert adapter.data_to_send() == answer


def test_only_the_first_line_shows_a_stranger() -> None:
    assert typed(active(), "look", "GET / HTTP/1.1") == [Text("look"), Text("GET / HTTP/1.1")]


def test_what_has_not_the_shape_of_a_code_is_for_the_application() -> None:
    for line in ("resume the quest", "resume", "resume " + "A" * 80, "resumé ABCD-2345"):
        assert typed(active(), line) == [Text(line)]


def test_bytes_that_are_no_utf_8_are_replaced() -> None:
    assert active().receive_data(b"caf\xe9\n", 1.0) == [Text("caf�")]


@given(st.binary(max_size=60), st.lists(st.integers(1, 60), max_size=6))
def test_chunks_do_not_matter(data: bytes, cuts: list[int]) -> None:
    whole, pieces = active(), active()
    events: list[Event] = []
    stops = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    for start, stop in pairwise(stops):
        events += pieces.receive_data(data[start:stop], 1.0)
    assert events == whole.receive_data(data, 1.0)
    assert pieces.data_to_send() == whole.data_to_send()


# --- what is shown

SHOWN: dict[str, tuple[list[Output | None], bytes]] = {
    "text": ([Text("a"), Text("b")], b"a\nb\n"),
    "several-lines": ([Text("a\nb")], b"a\nb\n"),
    "formatted": ([Formatted("a", (Span(0, 1, "red"),))], b"a\n"),
    "notice": ([Notice("so")], b"*** so\n"),
    "prompt": ([Prompt("> ")], b"> "),
    "text-after-a-prompt": ([Prompt("> "), Text("a")], b"> \na\n"),
    "formatted-after-a-prompt": ([Prompt("> "), Formatted("a", ())], b"> \na\n"),
    "notice-after-a-prompt": ([Prompt("> "), Notice("so")], b"> \n*** so\n"),
    "prompt-after-a-prompt": ([Prompt("> "), Prompt("# ")], b"> \n# "),
    "the-line-is-fresh-once": ([Prompt("> "), Text("a"), Text("b")], b"> \na\nb\n"),
    "replaced": ([None, Text("b")], b"b\n"),
    "data-is-not-shown": ([Data("A", "{}"), Text("b")], b"b\n"),
    "data-leaves-the-prompt-alone": ([Prompt("> "), Data("A", "{}")], b"> "),
    "bytes-are-not-shown": ([Binary(b"\xff"), Text("b")], b"b\n"),
    "unicode": ([Text("grüezi")], "grüezi\n".encode()),
}


@pytest.mark.parametrize(("outputs", "shown"), SHOWN.values(), ids=SHOWN)
def test_what_outputs_look_like(outputs: list[Output | None], shown: bytes) -> None:
    assert active().encode(1, outputs) == shown


def test_an_answered_prompt_needs_no_fresh_line() -> None:
    adapter = active()
    assert adapter.encode(1, [Prompt("> ")]) == b"> "
    typed(adapter, "look")
    assert adapter.encode(2, [Text("a")]) == b"a\n"


def test_a_volatile_notice_leaves_the_prompt_s_line() -> None:
    adapter = active()
    adapter.encode(1, [Prompt("> ")])
    assert adapter.encode_volatile(Notice("so")) == b"\n*** so\n"


# --- coming back


def missed(count: int, *, seen: int = 0, lost: int = 0, after: int = 0) -> Resumption:
    """`count` outputs follow, from number `after` + 1 on."""
    return Resumption(
        sid="sid",
        epoch="epoch",
        token="",
        code="WXYZ6789",
        heartbeat_seconds=30.0,
        first=after + 1,
        last=after + count,
        maybe_delivered=seen,
        lost=lost,
        cin=0,
    )


BACK = "*** Welcome back. Your session goes on."
CODE = '*** If you are cut off, connect again and type "resume WXYZ-6789".'
REPLAYS: dict[str, tuple[Resumption, list[str]]] = {
    "nothing": (missed(0, after=4), [BACK, "*** You missed nothing.", CODE]),
    "all-missed": (
        missed(2, after=4, seen=4),
        [BACK, "*** You missed this:", "5", "6", "*** That was all.", CODE],
    ),
    "all-perhaps-seen": (
        missed(2, after=4, seen=6),
        [BACK, "*** You may have seen this:", "5", "6", "*** That was all.", CODE],
    ),
    "some-perhaps-seen": (
        missed(3, after=4, seen=5),
        [
            BACK,
            "*** You may have seen this:",
            "5",
            "*** You missed this:",
            "6",
            "7",
            "*** That was all.",
            CODE,
        ],
    ),
    "one-lost": (
        missed(1, after=4, seen=4, lost=1),
        [
            BACK,
            "*** 1 older line could not be kept.",
            "*** You missed this:",
            "5",
            "*** That was all.",
            CODE,
        ],
    ),
    "several-lost": (
        missed(0, after=4, lost=3),
        [BACK, "*** 3 older lines could not be kept.", "*** You missed nothing else.", CODE],
    ),
}


@pytest.mark.parametrize(("resumption", "shown"), REPLAYS.values(), ids=REPLAYS)
def test_what_was_missed_is_shown_under_its_header(
    resumption: Resumption, shown: list[str]
) -> None:
    adapter = begun()
    adapter.handle_timer(0.3)
    adapter.notify(resumption)
    adapter.notify(MaybeDelivered(resumption.maybe_delivered))
    screen = adapter.data_to_send()
    outputs = [Text(str(n)) for n in range(resumption.first, resumption.last + 1)]
    screen += adapter.encode(resumption.first, outputs)
    adapter.notify(CaughtUp(resumption))
    screen += adapter.data_to_send()
    assert screen.decode().splitlines() == shown
    # From here on it is live, under no header.
    assert adapter.encode(resumption.last + 1, [Text("x")]) == b"x\n"


NOTHING = [BACK, "*** You missed nothing.", CODE]
NO_LINES: dict[str, tuple[list[Output | None], int, list[str]]] = {
    # what follows, how much of it may have been seen → the screen
    "data": ([Data("A", "{}"), Data("B", "{}")], 0, NOTHING),
    "data-perhaps-seen": ([Data("A", "{}"), Data("B", "{}")], 1, NOTHING),
    "what-newer-outputs-replaced": ([None, None], 0, NOTHING),
    "a-prompt-is-shown-again-at-the-end": (
        [Data("A", "{}"), Prompt("> ")],
        0,
        [BACK, "> ", *NOTHING[1:], "> "],
    ),
    "data-around-a-line": (
        [Data("A", "{}"), Text("one"), Data("A", "{}")],
        0,
        [BACK, "*** You missed this:", "one", "*** That was all.", CODE],
    ),
    "only-data-perhaps-seen": (
        [Data("A", "{}"), Text("one")],
        1,
        [BACK, "*** You missed this:", "one", "*** That was all.", CODE],
    ),
    "only-data-missed": (
        [Text("one"), Data("A", "{}")],
        1,
        [BACK, "*** You may have seen this:", "one", "*** That was all.", CODE],
    ),
    "a-line-and-a-prompt": (
        [Notice("one"), Prompt("> ")],
        0,
        [BACK, "*** You missed this:", "*** one", "> ", "*** That was all.", CODE, "> "],
    ),
}


@pytest.mark.parametrize(("outputs", "seen", "shown"), NO_LINES.values(), ids=NO_LINES)
def test_nothing_is_announced_but_lines(
    outputs: list[Output | None], seen: int, shown: list[str]
) -> None:
    adapter = begun()
    adapter.handle_timer(0.3)
    resumption = missed(len(outputs), seen=seen)
    adapter.notify(resumption)
    adapter.notify(MaybeDelivered(seen))
    screen = adapter.data_to_send() + adapter.encode(1, outputs)
    adapter.notify(CaughtUp(resumption))
    assert (screen + adapter.data_to_send()).decode().splitlines() == shown


def test_what_waits_for_a_slow_connection_is_announced_when_it_comes() -> None:
    adapter = begun()
    adapter.handle_timer(0.3)
    resumption = missed(1)
    adapter.notify(resumption)
    adapter.notify(CaughtUp(resumption))
    assert adapter.data_to_send().decode().splitlines() == [BACK, CODE]
    outputs: list[Output | None] = [Text("one"), Data("A", "{}"), Prompt("> ")]
    assert adapter.encode(1, outputs) == b"*** You missed this:\none\n*** That was all.\n> "


def test_what_may_have_been_seen_is_announced_to_who_is_there_too() -> None:
    """A gateway that died had shown it, perhaps; the application says it again."""
    adapter = active()
    adapter.notify(MaybeDelivered(3))
    outputs: list[Output | None] = [
        Data("A", "{}"),
        Text("one"),
        Prompt("> "),
        Data("A", "{}"),
        Text("two"),
    ]
    assert adapter.encode(1, outputs[:3]) == b"*** You may have seen this:\none\n> "
    typed(adapter, "look")
    assert adapter.encode(4, outputs[3:]) == b"*** That was all.\ntwo\n"


def test_another_session_s_doubts_are_not_this_one_s() -> None:
    adapter = active()
    adapter.notify(MaybeDelivered(50))
    adapter.encode(1, [Text("another's")])
    adapter.data_to_send()
    resumption = missed(1)
    adapter.notify(resumption)
    adapter.data_to_send()
    assert adapter.encode(1, [Text("ours")]) == b"*** You missed this:\nours\n"


# --- logging in


def test_a_login() -> None:
    adapter = entered()
    adapter.notify(LoginNeeded())
    assert adapter.data_to_send() == b"Name: "
    assert typed(adapter, " ann ") == []
    assert adapter.data_to_send() == b"Password: "
    assert typed(adapter, " pass word ") == [LoginGiven("ann", " pass word ")]
    assert adapter.data_to_send() == b""
    adapter.notify(SessionActive())
    assert typed(adapter, "look") == [Text("look")]


def test_a_wrong_login_is_asked_for_again() -> None:
    adapter = entered()
    adapter.notify(LoginNeeded())
    typed(adapter, "ann", "wrong")
    adapter.data_to_send()
    adapter.notify(LoginNeeded("That is wrong."))
    assert adapter.data_to_send() == b"*** That is wrong.\nName: "
    assert typed(adapter, "ann", "right") == [LoginGiven("ann", "right")]


def test_what_is_typed_ahead_answers_what_is_asked_next() -> None:
    """A password must never become a command that everybody hears."""
    adapter = entered()
    assert typed(adapter, "ann", "wrong", "ann", "right", "look") == []
    adapter.notify(LoginNeeded())
    assert adapter.receive_data(b"", 1.0) == [LoginGiven("ann", "wrong")]
    adapter.notify(LoginNeeded("That is wrong."))
    assert adapter.receive_data(b"", 1.0) == [LoginGiven("ann", "right")]
    assert adapter.receive_data(b"", 1.0) == []
    adapter.notify(SessionActive())
    assert typed(adapter, "north") == [Text("look"), Text("north")]


@pytest.mark.parametrize(
    ("line", "fits"), [("x" * 96, 1024), ("😀" * 24, 1024), ("", 4096)], ids=["x", "emoji", "empty"]
)
def test_what_is_typed_ahead_is_bounded_in_bytes(line: str, fits: int) -> None:
    adapter = entered()
    assert [event for _ in range(fits) for event in typed(adapter, line)] == []
    assert typed(adapter, line) == [Broken(Reason.FLOOD, "too much was typed ahead")]
    assert adapter.data_to_send().startswith(b"*** Too much, too fast.\n")


@pytest.mark.parametrize("line", ["resume ABCD-2345", "RESUME abcd 2345 efgh"])
def test_a_session_may_be_resumed_instead_of_a_login(line: str) -> None:
    adapter = entered()
    adapter.notify(LoginNeeded())
    assert typed(adapter, line, "look") == [Enter(code=line[7:])]
    adapter.notify(missed(0))
    adapter.notify(SessionActive())
    assert typed(adapter) == [Text("look")]


def test_a_password_is_never_taken_for_resume() -> None:
    adapter = entered()
    adapter.notify(LoginNeeded())
    typed(adapter, "ann")
    assert typed(adapter, "resume ABCD-2345") == [LoginGiven("ann", "resume ABCD-2345")]


def test_the_first_line_may_resume_whatever_is_asked_for() -> None:
    """An application may ask for a password before it knows that somebody comes back."""
    adapter = active()
    adapter.notify(InputModeChanged("secret"))
    assert typed(adapter, "resume ABCD-2345") == [Enter(code="ABCD-2345")]


def test_later_secret_input_is_never_taken_for_resume() -> None:
    adapter = active()
    typed(adapter, "look")
    adapter.notify(InputModeChanged("secret"))
    assert typed(adapter, "resume ABCD-2345") == [Text("resume ABCD-2345")]
    adapter.notify(SessionOffered("You have another session."))
    assert typed(adapter, "resume") == [Text("resume")]


# --- choosing a profile

PROFILES = [ProfileSummary("p1", "Ann", "a bard"), ProfileSummary("p2", "Bo")]


def choosing(error: str = "") -> LineAdapter:
    adapter = entered()
    adapter.notify(ChooseProfile(PROFILES, error))
    return adapter


def test_profiles_are_listed() -> None:
    assert choosing().data_to_send() == (
        b"  1  Ann - a bard\n  2  Bo\nChoose a number, or type a new name: "
    )
    assert choosing("No such name.").data_to_send().startswith(b"*** No such name.\n  1  Ann")


CHOICES: dict[str, tuple[str, Event]] = {
    "first": ("1", ProfileWanted(id="p1")),
    "last": (" 2 ", ProfileWanted(id="p2")),
    "beyond": ("3", ProfileWanted(name="3")),
    "zero": ("0", ProfileWanted(name="0")),
    "name": (" Cy ", ProfileWanted(name="Cy")),
    "not-quite-a-digit": ("²", ProfileWanted(name="²")),
    "resume": ("resume ABCD-2345", Enter(code="ABCD-2345")),
    "resume-without-an-offer": ("resume", ProfileWanted(name="resume")),
}


@pytest.mark.parametrize(("line", "event"), CHOICES.values(), ids=CHOICES)
def test_a_profile_is_chosen_or_created(line: str, event: Event) -> None:
    assert typed(choosing(), line) == [event]


# --- another session of the same user


def test_an_offer_is_taken_by_typing_resume() -> None:
    adapter = active()
    typed(adapter, "look")
    adapter.notify(SessionOffered("You have another session."))
    assert adapter.data_to_send() == (
        b'*** You have another session. To take it up, type "resume".\n'
    )
    assert typed(adapter, " Resume ") == [ResumeOwn()]


def test_an_offer_is_taken_instead_of_choosing_a_profile() -> None:
    adapter = entered()
    adapter.notify(SessionOffered("You have another session."))
    adapter.notify(ChooseProfile(PROFILES))
    assert typed(adapter, "resume") == [ResumeOwn()]


def test_an_offer_lapses_with_the_next_line() -> None:
    adapter = active()
    typed(adapter, "look")
    adapter.notify(SessionOffered("You have another session."))
    assert typed(adapter, "north", "resume") == [Text("north"), Text("resume")]


# --- the end

GOODBYES: dict[str, tuple[Reason, str, bytes]] = {
    "kicked": (Reason.KICKED, "", b"*** Your session was closed.\n"),
    "its-own-words": (Reason.REFUSED, "too many wrong attempts", b"*** Too many wrong attempts.\n"),
    "restart": (
        Reason.SHUTDOWN,
        "",
        b"*** The gateway is restarting; your session is kept.\n"
        b'*** Connect again and type "resume ABCD-2345".\n',
    ),
}


@pytest.mark.parametrize(("reason", "text", "shown"), GOODBYES.values(), ids=GOODBYES)
def test_a_goodbye_says_why_and_how_to_come_back(reason: Reason, text: str, shown: bytes) -> None:
    adapter = active()
    disconnect = DISCONNECTS[reason]
    waits = adapter.goodbye(disconnect, text or disconnect.text, 1.0)
    assert adapter.data_to_send() == shown
    assert not waits  # the client is not asked to close first


def test_a_goodbye_leaves_the_prompt_s_line() -> None:
    adapter = active()
    adapter.encode(1, [Prompt("> ")])
    adapter.goodbye(DISCONNECTS[Reason.KICKED], "so long", 0)
    assert adapter.data_to_send() == b"\n*** So long.\n"


def test_there_is_no_code_before_there_is_a_session() -> None:
    adapter = begun()
    adapter.goodbye(DISCONNECTS[Reason.SHUTDOWN], "so long", 0)
    assert adapter.data_to_send() == b"*** So long.\n"


def test_a_client_of_lines_cannot_be_probed() -> None:
    assert not active().probe(3, 60.0)
