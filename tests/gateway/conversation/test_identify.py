"""Who is not known gets nothing of a session: neither its own nor another's to watch."""

from __future__ import annotations

import pytest
from msgspec import structs
from tests.gateway.conversation.steps import Recorded, World

from holdfast.core.errors import Reason
from holdfast.core.identity import ClientFacts, Identity
from holdfast.core.limits import Limits
from holdfast.core.login import Policy
from holdfast.gateway.adapters.events import CredentialGiven, Enter, Event, Watch
from holdfast.gateway.auth.errors import CredentialError, KeysUnavailableError
from holdfast.gateway.auth.options import AuthOptions
from holdfast.gateway.conversation.proof import Proof


class Judge:
    """Lets in who has the token `good`; without keys, nobody can be judged."""

    def __init__(self, *, has_keys: bool = True, anonymous: bool = False) -> None:
        self.options = AuthOptions(algorithms=("HS256",), anonymous=anonymous)
        self.wall = lambda: 1000.0
        self._has_keys = has_keys

    async def judge_token(self, token: str) -> Identity:
        if not self._has_keys:
            raise KeysUnavailableError("no keys")
        if token != "good":
            raise CredentialError("not good")
        return Identity("anna", expires=2000.0)

    def judge_certificate(self, facts: ClientFacts) -> Identity | None:
        return None


def client(judge: Judge, world: World | None = None) -> Recorded:
    """A client that cannot be asked for a token while it is connected."""
    world = world or World()
    conversation = Recorded(world, structs.replace(world.listener(), auth=judge))
    conversation.proof = Proof()
    return conversation


@pytest.mark.parametrize("event", [Enter(), Watch("invitation"), Enter(credential="bad")])
def test_a_client_that_proves_nothing_is_refused(event: Event) -> None:
    conversation = client(Judge())
    assert ("goodbye", Reason.UNAUTHENTICATED) in [
        effect[:2] for effect in conversation.hears(event)
    ]
    assert not conversation.world.manager.total


def test_a_client_that_nobody_can_judge_comes_back_later() -> None:
    conversation = client(Judge(has_keys=False))
    effects = conversation.hears(Enter(credential="good"))
    assert ("goodbye", Reason.INTERNAL_ERROR) in [effect[:2] for effect in effects]


def test_the_session_of_a_client_is_the_user_s() -> None:
    conversation = client(Judge())
    conversation.hears(Enter(credential="good"))
    assert (conversation.session.row.user, conversation.session.row.proven) == ("anna", True)
    assert conversation.proof is not None
    asked_before = conversation.proof.expires - conversation.proof.due
    assert asked_before == AuthOptions().renew_seconds + AuthOptions().leeway_seconds


def test_a_session_that_its_user_has_no_room_for_stays_nobody_s() -> None:
    world = World(Limits().but(session={"sessions_per_user_max": 1}))
    world.backend.policy = Policy(login=True)
    judge = Judge(anonymous=True)
    client(judge, world).hears(Enter(credential="good"))
    second = client(judge, world)
    second.hears(Enter())
    session = second.session
    effects = second.hears(CredentialGiven("good"))
    assert ("goodbye", Reason.CROWDED) in [effect[:2] for effect in effects]
    assert (session.row.user, session.row.proven) == ("", False), "whoever has its token may resume"
