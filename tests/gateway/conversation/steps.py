"""The steps of a conversation without a network: events and time in, effects out.

Everything but the transport, the backend and the driver is what runs in a gateway.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Generic, TypeVar

from tests.net.fakes import Bench

from holdfast.backends.base import BaseBackend
from holdfast.core.errors import Reason
from holdfast.core.items import Resized
from holdfast.core.limits import Limits
from holdfast.core.login import Authenticate, AuthResult, Policy, ProfileSummary
from holdfast.core.rate import Rate
from holdfast.gateway.adapters.base import Adapter
from holdfast.gateway.adapters.events import Event
from holdfast.gateway.adapters.lines import LineAdapter
from holdfast.gateway.attempts import LoginAttempts
from holdfast.gateway.context import Context, ListenerContext
from holdfast.gateway.conversation import events as steps
from holdfast.gateway.conversation.intake import Intake, network_input
from holdfast.gateway.conversation.news import News
from holdfast.gateway.conversation.output import Attachment
from holdfast.gateway.conversation.phases import ConversationPhase, Move, after
from holdfast.gateway.conversation.proof import Proof
from holdfast.gateway.pool import ConnectionPool
from holdfast.net.runtime.room import Room
from holdfast.net.security_log import SecurityEvent, SecurityLog
from holdfast.sessions.journal import Journal
from holdfast.sessions.manager import SessionManager
from holdfast.sessions.position import ResetReason
from holdfast.sessions.records import Capabilities
from holdfast.sessions.session import Session
from holdfast.sessions.states import Durability

Effect = tuple[Any, ...]
T = TypeVar("T")


class Question(Generic[T]):
    """What a step waits for: the test answers it."""

    def __init__(self, *asked: object) -> None:
        self.asked = asked

    def __await__(self) -> Generator[Question[T], T, T]:
        return (yield self)


class AskedBackend(BaseBackend):
    """Writes down what it is told, and lets the test answer what it is asked."""

    name = "asked"

    def __init__(self) -> None:
        self.policy: Policy | None = Policy()
        self.told: list[Effect] = []

    def opened(self, session: Session) -> None:
        self.told.append(("opened",))

    def resumed(self, session: Session) -> None:
        self.told.append(("resumed",))

    def resync(self, session: Session, reason: ResetReason) -> None:
        self.told.append(("resync", reason))

    def resized(self, session: Session, size: Resized) -> None:
        self.told.append(("resized", size.width, size.height))

    def capabilities_changed(self, session: Session) -> None:
        self.told.append(("capabilities", session.row.capabilities))

    def commanded(self, session: Session) -> None:
        self.told.append(("commanded", session.inbox.top))

    def detached(self, session: Session, reason: Reason) -> None:
        self.told.append(("detached", reason))

    def ended(self, session: Session, reason: Reason) -> None:
        self.told.append(("ended", reason))

    def relieved(self, session: Session) -> None:
        self.told.append(("relieved",))

    def keeps(self, *, known: bool) -> bool:
        return False

    async def authenticate(self, session: Session, claim: Authenticate) -> AuthResult:
        return await Question[AuthResult]("authenticate", claim.username, claim.password)

    async def profiles(self, session: Session) -> list[ProfileSummary]:
        return await Question[list[ProfileSummary]]("profiles")

    async def create_profile(
        self, session: Session, name: str, properties: dict[str, str]
    ) -> ProfileSummary:
        return await Question[ProfileSummary]("create profile", name, *properties.values())

    async def select_profile(self, session: Session, profile: str) -> ProfileSummary:
        return await Question[ProfileSummary]("select profile", profile)


class World:
    """One gateway's sessions, and all who may come to them."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.bench = Bench(self.limits.connection)
        self.backend = AskedBackend()
        self.journal = Journal(self.limits.store, lambda marks: None)
        self.security: list[SecurityEvent] = []
        runtime, session = self.bench.runtime, self.limits.session
        self.manager = SessionManager(session, self.journal, runtime.coalescer.add)
        log = SecurityLog()
        self.context = Context(
            limits=self.limits,
            command_rate=Rate(session.commands_per_second_max, session.command_burst_max),
            network_input=network_input(session),
            input_room=Room(session.node_input_bytes_max),
            output_room=Room(session.node_output_bytes_max, "output is unsent"),
            runtime=runtime,
            wall=self.bench.loop.time,
            journal=self.journal,
            manager=self.manager,
            pool=ConnectionPool(),
            spawn=self._spawn,
            attempts=LoginAttempts(session),
            security=log,
            counts=Counter(),
        )
        self._steps: list[tuple[Coroutine[Any, Any, None], object]] = []

    def listener(
        self, make: Callable[[], Adapter] | None = None, durability: Durability = Durability.MEMORY
    ) -> ListenerContext:
        limits = self.limits.line
        return ListenerContext(
            backend=self.backend,
            durability=durability,
            new_adapter=make or (lambda: LineAdapter("tcp", limits)),
        )

    # --- steps that wait

    @property
    def asked(self) -> list[Effect]:
        """What is waited for, oldest first."""
        return [it.asked for _, it in self._steps if isinstance(it, Question)]

    def answer(self, value: object) -> None:
        """The oldest question has an answer; an exception is raised."""
        index = next(n for n, (_, it) in enumerate(self._steps) if isinstance(it, Question))
        work, _ = self._steps.pop(index)
        self._step(work, value)

    def commit(self) -> None:
        """Everything said so far is durable."""
        self.journal.committed(self.journal.collect(), 0)
        self.wake()

    def wake(self) -> None:
        """Whoever waited for the store goes on."""
        stored = [step for step in self._steps if not isinstance(step[1], Question)]
        self._steps = [step for step in self._steps if isinstance(step[1], Question)]
        for work, future in stored:
            if future.done():  # type: ignore[attr-defined]
                self._step(work, None)
            else:
                self._steps.append((work, future))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._step(work, None)

    def _step(self, work: Coroutine[Any, Any, None], value: object) -> None:
        try:
            waits = work.throw(value) if isinstance(value, Exception) else work.send(value)
        except StopIteration:
            return
        self._steps.append((work, waits))


class Recorded:
    """A conversation whose effects are written down. It is a `ports.Conversation`."""

    wake = float("inf")

    def __init__(self, world: World, listener: ListenerContext | None = None) -> None:
        self.world = world
        self.connection = world.bench.connect()
        self.context = world.context
        self.listener = listener or world.listener()
        self.adapter = self.listener.new_adapter()
        self.adapter.begin(0.0)
        self.intake = Intake()
        self.phase = ConversationPhase.WAITING
        self.attachment: Attachment | None = None
        self.capabilities = Capabilities()
        self.waiting = 0
        self.proof: Proof | None = None
        self.login_attempts = 0
        self.wrong_code = False
        self._effects: list[Effect] = []

    def hears(self, *events: Event) -> list[Effect]:
        """The effects of events."""
        for event in events:
            if self.attachment is not None and self.attachment.live:
                steps.react(self, self.attachment, event)
            else:
                steps.react_early(self, event)
        self.send()
        return self.effects

    @property
    def effects(self) -> list[Effect]:
        """The effects since the last look, with what the backend was told."""
        told, self.world.backend.told = self.world.backend.told, []
        effects, self._effects = self._effects, []
        return effects + told

    @property
    def session(self) -> Session:
        assert self.attachment is not None
        return self.attachment.session

    # --- Conversation

    def send(self) -> None:
        data = self.adapter.data_to_send()
        if data:
            self._effects.append(("send", data.decode()))

    def goodbye(self, reason: Reason, text: str = "") -> None:
        self.phase = after(self.phase, Move.LEAVE)
        self.attachment = None
        self._effects.append(("goodbye", reason, text))

    def end(self, reason: Reason) -> None:
        self.phase = after(self.phase, Move.LEAVE)
        self._effects.append(("end", reason))

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        self.context.spawn(work)

    def tell(self, event: SecurityEvent, **fields: Any) -> None:
        self._effects.append(("tell", event))

    def serve_http(self, data: bytes) -> None:
        self._effects.append(("serve http", data))

    def wake_by(self, when: float) -> None:
        self._effects.append(("wake by", when))

    def go_on(self) -> None:
        self._effects.append(("go on",))

    def hear(self, news: News) -> None:
        assert self.attachment is not None
        steps.hear(self, self.attachment, news)

    def fail(self, error: Exception) -> None:
        raise error
