"""Publications: whom they reach, what is said of those that there are not, and repeats."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sessions.test_port import NOW, Setting, texts

from holdfast.core.items import MUST, Output, Text
from holdfast.core.limits import ApiLimits
from holdfast.core.validation import UnsendableError
from holdfast.sessions.port import UnknownSessionError
from holdfast.sessions.publication_ids import IdReusedError, PublicationIds
from holdfast.sessions.publishing import Publication, Published, Publishing, Targets
from holdfast.sessions.states import Durability
from holdfast.sessions.stores.base import StoreError
from holdfast.sessions.waiters import StoreUnavailableError


class Desk(Setting):
    """A publisher, and a store of settings."""

    def __init__(self, ids_max: int = 4) -> None:
        super().__init__()
        self.stored: dict[str, bytes] = {}
        self.ids_max = ids_max
        self.publishing = Publishing(
            "shop", self.port, self.journal, ApiLimits(items_max=3, targets_max=5), lambda: NOW
        )
        self.ids = self.new_ids()

    def new_ids(self, name: str = "api/worker") -> PublicationIds:
        def keep(key: str, value: bytes) -> None:
            self.stored[key] = value

        return PublicationIds(name, keep, self.ids_max)

    def publish(
        self, *items: Output, id: str = "", delivery: str = MUST, **to: Sequence[str]
    ) -> Published:
        targets = Targets(**{name: tuple(names) for name, names in to.items()})
        it = Publication(targets, items or (Text("x"),), delivery, id)
        self.publishing.check(it)
        return self.publishing.publish(it, self.ids)


def test_each_session_of_the_targets_gets_all_items_once_and_in_order() -> None:
    desk = Desk()
    anna, also_anna, ben = (desk.session() for _ in range(3))
    for session in (anna, also_anna):
        desk.manager.set_user(session, "anna")
    for session in (also_anna, ben):
        desk.manager.groups.join(session, "buyers")
    told = desk.publish(
        Text("1"), Text("2"), sessions=[anna.sid], users=["anna"], groups=["buyers"]
    )
    assert told == Published(reached=3)
    assert [texts(session) for session in (anna, also_anna, ben)] == [["1", "2"]] * 3


def test_what_there_is_not_is_named_and_foreign_sessions_are_not_there() -> None:
    desk = Desk()
    own, foreign = desk.session(), desk.session(foreign=True)
    desk.manager.set_user(foreign, "zoe")
    desk.manager.groups.join(foreign, "g")
    told = desk.publish(sessions=[own.sid, foreign.sid, "s0"], users=["zoe"], groups=["g"])
    assert told.reached == 1
    assert told.unknown == Targets((foreign.sid, "s0"), ("zoe",), ("g",))
    assert texts(foreign) == []
    for sid in (foreign.sid, "s0"):
        with pytest.raises(UnknownSessionError, match=f"has no session {sid}"):
            desk.publish(sessions=[sid])
    assert desk.publish(users=["nobody"]) == Published(0, unknown=Targets(users=("nobody",)))


def test_an_id_counts_once_and_for_one_content() -> None:
    desk = Desk()
    session = desk.session()
    assert desk.publish(Text("a"), id="1", sessions=[session.sid]) == Published(1)
    assert desk.publish(Text("a"), id="1", sessions=[session.sid]) == Published(1, repeated=True)
    with pytest.raises(IdReusedError, match="id: '1' was used before, with other content"):
        desk.publish(Text("b"), id="1", sessions=[session.sid])
    assert texts(session) == ["a"]
    with pytest.raises(UnknownSessionError):
        desk.publish(Text("a"), id="2", sessions=["s0"])
    desk.publish(Text("c"), id="2", sessions=[session.sid])  # nothing was sent, so it is free
    assert texts(session) == ["a", "c"]


@pytest.mark.parametrize(
    ("it", "fault"),
    [
        (Publication(Targets(), (Text("x"),)), "to: expected 1 to 5 sessions.*found 0"),
        (Publication(Targets(tuple("abcdef")), (Text("x"),)), "to: .*found 6"),
        (Publication(Targets(("a",)), ()), "items: expected 1 to 3; found 0"),
        (Publication(Targets(("a",)), (Text("x"),) * 4), "items: .*found 4"),
        (Publication(Targets(("a",)), (Text("\ud800"),)), "lone surrogate"),
        (Publication(Targets(("a",)), (Text("x"),), "soon"), "delivery: expected must"),
        (Publication(Targets(("a",)), (Text("x"),), MUST, "i" * 129), "id: .*at most 128"),
    ],
)
def test_what_cannot_be_carried_out_is_refused(it: Publication, fault: str) -> None:
    with pytest.raises(UnsendableError, match=fault):
        Desk().publishing.check(it)


def test_without_a_store_to_promise_nothing_is_sent() -> None:
    desk = Desk()
    session = desk.session()
    desk.journal._turn(StoreError("disk full"))
    with pytest.raises(StoreUnavailableError, match="disk full"):
        desk.publish(sessions=[session.sid])
    with pytest.raises(StoreUnavailableError, match="disk full"):
        desk.publishing.when_settled(Durability.FAST, print)
    assert texts(session) == []
    desk.journal._promises = False
    assert desk.publish(sessions=[session.sid]).reached == 1
    assert not desk.publishing.when_settled(Durability.DURABLE, print)


async def test_a_durable_publication_waits_for_a_commit_that_survives_a_loss_of_power() -> None:
    desk = Desk()
    session = desk.session()
    desk.journal.collect()
    desk.publish(sessions=[session.sid])
    told: list[StoreUnavailableError | None] = []
    publishing = desk.publishing
    assert not publishing.when_settled(Durability.MEMORY, told.append)
    assert publishing.when_settled(Durability.FAST, told.append)
    commit = desk.journal.collect()
    assert not commit.batch.sync
    assert publishing.when_settled(Durability.DURABLE, told.append)
    assert told == []
    desk.journal.committed(commit, 1)
    assert told == [None]
    commit = desk.journal.collect()
    assert commit.batch.sync
    desk.journal.failed(commit, StoreError("disk full"))
    assert isinstance(told[1], StoreUnavailableError)


async def test_what_is_stored_already_is_not_waited_for() -> None:
    desk = Desk()
    publishing, told = desk.publishing, list[StoreUnavailableError | None]()
    session = desk.session(Durability.MEMORY)
    desk.publish(sessions=[session.sid])
    assert not publishing.when_settled(Durability.FAST, told.append), "there is nothing to store"
    desk.publish(sessions=[desk.session().sid])
    assert publishing.when_settled(Durability.FAST, told.append)
    commit = desk.journal.collect()
    assert publishing.when_settled(Durability.FAST, told.append), "the commit is under way"
    desk.journal.failed(commit, StoreError("disk full"))
    desk.journal._turn(None)
    assert publishing.when_settled(Durability.FAST, told.append), "it is still to be stored"
    desk.journal.committed(desk.journal.collect(), 1)
    assert not publishing.when_settled(Durability.FAST, told.append)
    assert publishing.when_settled(Durability.DURABLE, told.append), "power may be lost"
    assert told[0] is not None
    assert told[1:] == [None, None]


def test_who_waits_for_a_commit_and_fails_is_alone_in_that() -> None:
    desk = Desk()
    told: list[StoreUnavailableError | None] = []

    def fail(error: StoreUnavailableError | None) -> None:
        raise RuntimeError("a defect")

    desk.journal.when_settled(fail)
    desk.journal.when_settled(told.append)
    desk.journal.committed(desk.journal.collect(), 1)
    assert told == [None]


STEPS = st.lists(
    st.tuples(st.integers(0, 9), st.sampled_from(["anna", "ben"]), st.booleans()), max_size=40
)


@given(STEPS, st.integers(1, 6))
def test_whatever_is_repeated_and_restarted_each_content_comes_once_and_in_order(
    steps: list[tuple[int, str, bool]], ids_max: int
) -> None:
    """A publisher repeats its newest publications, and the gateway restarts at any time."""
    desk = Desk(ids_max)
    sessions = {user: desk.session() for user in ("anna", "ben")}
    for user, session in sessions.items():
        desk.manager.set_user(session, user)
    sent: list[tuple[str, str]] = []
    for number, user, restarts in steps:
        if restarts:
            desk.ids = desk.new_ids()
            desk.ids.restore(desk.stored)
        back = number % ids_max  # no further than what is remembered
        if back < len(sent):
            user, text = sent[-1 - back]
            again = desk.publish(Text(text), id=text, users=[user])
            assert again == Published(1, repeated=True)
        else:
            text = f"text {len(sent)}"
            assert desk.publish(Text(text), id=text, users=[user]) == Published(1)
            sent.append((user, text))
        assert len(desk.ids) <= ids_max
    for user, session in sessions.items():
        assert texts(session) == [text for whose, text in sent if whose == user]
    assert len(desk.stored) <= ids_max


def test_a_malformed_stored_id_is_left_out() -> None:
    desk = Desk()
    session = desk.session()
    desk.publish(Text("a"), id="1", sessions=[session.sid])
    desk.stored["published:api/worker:0"] = b"\xc1"
    desk.stored["published:api/worker-2:1"] = b"\xc1"
    desk.ids = desk.new_ids()
    desk.ids.restore(desk.stored)
    assert desk.publish(Text("a"), id="1", sessions=[session.sid]).repeated


@pytest.mark.parametrize(
    "it",
    [
        Publication(Targets(("a",)), (Text("x"),)),
        Publication(Targets(("a", "b"), ("c",), ("d", "e")), (Text("x"),)),
        Publication(Targets(("a",)), (Text("x"),) * 3),
        Publication(Targets(("a",)), (Text("x"),), MUST, "i" * 128),
    ],
    ids=["least", "targets", "items", "id"],
)
def test_a_publication_may_be_as_large_as_it_may_be(it: Publication) -> None:
    Desk().publishing.check(it)
