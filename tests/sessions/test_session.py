"""One session: what its window does when it is full, by who listens and what may be shown."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace
from tests.sessions.test_manager import RecordingBackend, RecordingConsumer

from holdfast.core.errors import Reason
from holdfast.core.items import MUST, Command, Data, Resized, Text
from holdfast.core.limits import SessionLimits, StoreLimits
from holdfast.sessions.journal import Journal
from holdfast.sessions.manager import SessionManager
from holdfast.sessions.session import Session
from holdfast.sessions.states import Durability, SessionInput

LIMITS = SessionLimits(window_messages_max=4, unsent_bytes_max=1_000)
LONG = Text("x" * 60)


class Reader(RecordingConsumer):
    """A consumer that takes what it may be given, as long as it reads."""

    def __init__(self, session: Session, *, reads: bool = True) -> None:
        super().__init__()
        self._session = session
        self.reads = reads

    def deliver(self) -> None:
        super().deliver()
        if self.reads:
            self._session.out.take(self._session.deliverable())


class Setting:
    """A manager and its journal, whose store is driven by hand."""

    def __init__(self, **limits: int) -> None:
        self.later: list[Callable[[], bool]] = []
        self.journal = Journal(StoreLimits(), lambda marks: None)
        self.manager = SessionManager(replace(LIMITS, **limits), self.journal, self.later.append)
        self.backend = RecordingBackend()

    def active(self, durability: Durability) -> Session:
        session = self.manager.create(self.backend, durability, 0.0)
        for given in (SessionInput.NEGOTIATED, SessionInput.AUTHENTICATED, SessionInput.SELECTED):
            session.apply(given)
        return session

    def store(self) -> None:
        """Everything said so far is durable."""
        self.journal.committed(self.journal.collect(), 0)

    def detached(self) -> list[Reason | None]:
        return [reason for what, _, reason in self.backend.told if what == "detached"]


@pytest.fixture
def setting() -> Setting:
    return Setting()


def test_who_waits_for_the_store_alone_is_not_cut_off(setting: Setting) -> None:
    session = setting.active(Durability.DURABLE)
    reader = Reader(session)
    session.open(reader, numbered=True)
    setting.store()
    for _ in range(20):
        session.emit(LONG, MUST, 1.0)
    assert session.out.size > LIMITS.unsent_bytes_max
    assert session.out.sent == session.deliverable() == 0, "nothing is stored, so nothing is shown"
    assert session.consumer is reader
    assert setting.detached() == []
    setting.store()
    session.deliver()
    assert session.out.sent == 20, "and nothing of it is lost"


def test_who_takes_nothing_is_cut_off_beyond_the_limit_and_no_earlier(setting: Setting) -> None:
    session = setting.active(Durability.FAST)
    session.open(Reader(session, reads=False), numbered=True)
    session.emit(Text("x"), MUST, 1.0)
    item_bytes = session.out.size
    fit = LIMITS.unsent_bytes_max // item_bytes
    assert fit > LIMITS.window_messages_max
    for _ in range(fit - 1):
        session.emit(Text("x"), MUST, 1.0)
    assert session.out.size == fit * item_bytes <= LIMITS.unsent_bytes_max
    assert setting.detached() == []
    session.emit(Text("x"), MUST, 1.0)
    assert setting.detached() == [Reason.SLOW_CONSUMER]
    assert session.out.top > 0
    assert len(session.out.entries) <= LIMITS.window_messages_max, "the window is as it may be"


def test_who_reads_is_sent_what_would_leave_the_window(setting: Setting) -> None:
    session = setting.active(Durability.FAST)
    session.open(Reader(session), numbered=True)
    for _ in range(10):
        session.emit(LONG, MUST, 1.0)
    assert setting.detached() == []
    assert session.out.sent >= 10 - LIMITS.window_messages_max


def test_the_window_of_a_session_that_is_away_keeps_the_newest(setting: Setting) -> None:
    session = setting.active(Durability.FAST)
    for number in range(10):
        session.emit(Text(str(number)), MUST, 1.0)
    kept = [entry.item for entry in session.out.entries]
    assert 0 < len(kept) <= LIMITS.window_messages_max
    assert kept == [Text(str(number)) for number in range(10)][-len(kept) :]


@pytest.mark.parametrize(
    ("mode", "hides", "item", "hidden"),
    [
        ("line", False, Text("look"), False),
        ("line", True, Text("look"), True),
        ("secret", False, Text("look"), True),
        ("line", False, Data("Char.Login.Credentials", "{}"), True),
        ("line", False, Data("Char.Vitals", "{}"), False),
    ],
)
def test_which_input_is_never_written_down(
    setting: Setting, mode: str, hides: bool, item: Command, hidden: bool
) -> None:
    session = setting.active(Durability.FAST)
    session.row.input_mode, session.hides = mode, hides
    session.receive(item)
    session.receive_numbered(1, item)
    (record,) = (record for _, record in setting.journal.collect().batch.records)
    assert [queued.item for queued in record.ins] == ([] if hidden else [item, item])


@pytest.mark.parametrize(
    ("field", "value"),
    [("user", "ann"), ("data", b"x"), ("profile", "p"), ("groups", ("g",)), ("app", "chat")],
)
def test_a_session_for_which_something_is_kept_lasts(
    setting: Setting, field: str, value: object
) -> None:
    session = setting.active(Durability.FAST)
    assert not session.lasting
    setattr(session.row, field, value)
    assert session.lasting is (field != "app")


def test_a_session_lasts_while_its_backend_keeps_something(setting: Setting) -> None:
    session = setting.active(Durability.FAST)
    setting.backend.keeping = True
    assert not session.lasting
    session.row.known = True
    assert session.lasting


@pytest.mark.parametrize(
    ("durability", "there", "told"),
    [
        (Durability.FAST, True, 1),
        (Durability.MEMORY, True, 1),
        (Durability.DURABLE, True, 0),
        (Durability.FAST, False, 0),
    ],
)
def test_a_client_is_told_once_of_the_outputs_of_a_tick(
    setting: Setting, durability: Durability, there: bool, told: int
) -> None:
    session = setting.active(durability)
    reader = Reader(session)
    if there:
        session.open(reader, numbered=True)
    setting.later.clear()
    for _ in range(2):
        session.emit(Text("x"), MUST, 1.0)
    assert len(setting.later) == told
    for deliver in setting.later:
        deliver()
    assert reader.delivered == told
    assert session.out.sent == 2 * told


def test_a_client_is_told_of_room_once_there_is_some() -> None:
    setting = Setting(queue_messages_max=2)
    session = setting.active(Durability.FAST)
    reader = Reader(session)
    session.offer_room()
    session.open(reader, numbered=True)
    session.receive_numbered(1, Text("a"))
    session.receive_numbered(2, Text("b"))
    session.offer_room()
    assert reader.offered == 0, "the queue is full"
    session.applied(1)
    assert reader.offered == 1
    session.applied(2)
    assert reader.offered == 1, "it was not full any more"


def test_a_client_is_told_how_its_input_is_read(setting: Setting) -> None:
    class Modal(Reader):
        modes = 0

        def change_input_mode(self) -> None:
            self.modes += 1

    session = setting.active(Durability.FAST)
    session.set_input_mode("key")
    assert session.row.input_mode == "key"
    reader = Modal(session)
    session.open(reader, numbered=False)
    session.set_input_mode("line")
    assert (session.row.input_mode, reader.modes) == ("line", 1)


def test_a_hidden_command_counts_as_kept_for_a_client_that_cannot_send_it_again(
    setting: Setting,
) -> None:
    session = setting.active(Durability.FAST)
    session.row.input_mode = "secret"
    session.receive(Text("swordfish"))
    assert session.inbox.kept() == (0, 1)
    session.receive_numbered(1, Text("swordfish"))
    assert session.inbox.kept() == (0, 1), "it is to be sent again"


def test_commands_that_a_client_knows_to_be_acknowledged_are_skipped(setting: Setting) -> None:
    session = setting.active(Durability.FAST)
    session.receive_numbered(1, Text("a"))
    setting.store()
    assert not session.skip_commands(1)
    assert setting.journal.stored
    assert session.skip_commands(5)
    assert not setting.journal.stored, "the store is to know"
    assert session.inbox.cin == 5


def test_the_records_of_a_session_are_numbered_one_by_one(setting: Setting) -> None:
    session = setting.active(Durability.FAST)
    numbers = []
    for _ in range(3):
        session.emit(Text("x"), MUST, 1.0)
        commit = setting.journal.collect()
        numbers += [record.n for _, record in commit.batch.records]
        setting.journal.committed(commit, 0)
    assert numbers == [1, 2, 3]
    assert session.snapshot().n == 3


def test_a_new_size_of_the_screen_is_stored(setting: Setting) -> None:
    session = setting.active(Durability.FAST)
    setting.store()
    session.resize(Resized(100, 30))
    known = session.row.capabilities
    assert (known.width, known.height) == (100, 30)
    (row,) = setting.journal.collect().batch.rows
    assert (row.capabilities.width, row.capabilities.height) == (100, 30)
