"""One instance of the application, and the database that its instances share."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from holdfast.app import App
from holdfast.app.session import Session
from holdfast.link.messages import Emit
from tests.simulation.process import Process

if TYPE_CHECKING:
    from tests.simulation.world import World

LINK = "unix:sim"


class Effect(NamedTuple):
    """What a command has done."""

    sid: str
    command: str


class Database:
    """What survives the application: its effects, each with its command's number."""

    def __init__(self, *, compares: bool) -> None:
        self._compares = compares
        self.applied: dict[str, int] = {}
        self.effects: dict[str, list[Effect]] = {}
        """By client, in the order in which they happened. A command begins with its client."""
        self.said: dict[str, list[str]] = {}
        """By session, everything that was ever said to it."""
        self.said_at: dict[str, float] = {}
        """When that was."""
        self.unaccepted: set[str] = set()
        """Said by instances that died before it was accepted: it may have died with them."""
        self.refused: set[tuple[str, int]] = set()
        """Instances and numbers of outputs that the gateway refused, and told them so: another
        instance had held the session meanwhile."""
        self.numbers: dict[str, tuple[str, int]] = {}
        """By what was said, who said it and its number."""

    def due(self, sid: str) -> set[str]:
        """What a session must have been shown, or its client told of."""
        said = set(self.said.get(sid, ())) - self.unaccepted
        return {text for text in said if self.numbers[text] not in self.refused}

    def apply(self, sid: str, cseq: int, text: str) -> bool:
        """One transaction: the effect and its number. False if another instance has done it."""
        if self._compares and cseq <= self.applied.get(sid, 0):
            return False
        self.effects.setdefault(text.partition("-")[0], []).append(Effect(sid, text))
        self.applied[sid] = cseq
        return True


class ApplicationNode:
    """One run of an instance."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.process = Process(world.time, world.faults)
        self.app = App("sim")
        self._said = 0
        app, database = self.app, world.database

        @app.on_remember
        def remember() -> dict[str, int]:
            return dict(database.applied)

        @app.on_open
        async def opened(session: Session) -> None:
            await session.text(f"{session.sid} welcome")

        @app.on_text
        async def said(session: Session, text: str) -> None:
            if database.apply(session.sid, session.cseq, text):
                await self._say(session, f"did {text}")

        self.task = self.process.start(app.serve(LINK))

    def speak(self, index: int) -> None:
        """Say something unasked to one of its sessions."""
        sessions = list(self.app.sessions.values())
        if sessions and self.process.runs and not self.app.outgoing.full:
            self._said += 1
            session = sessions[index % len(sessions)]
            self.process.start(self._say(session, f"o {self._said}"))

    async def _say(self, session: Session, text: str) -> None:
        whole = f"{session.sid} {self.name} {text}"
        self.world.database.said.setdefault(session.sid, []).append(whole)
        number = self.app.outgoing.number + 1  # it is taken before anything is waited for
        self.world.database.numbers[whole] = (self.app.instance, number)
        self.world.database.said_at[whole] = self.world.time.now
        await session.text(whole)

    def stop(self) -> None:
        """An orderly stop, as a deploy asks for it."""
        self.process.loop.call_soon(self.app.stop)

    def freeze(self) -> None:
        """It is stopped: what it has not got through by then, others may have to do."""
        self.doubt()
        self.process.frozen = True

    def die(self) -> None:
        """As by kill -9: nothing is flushed, nobody is told but by the network."""
        self.doubt()
        self.process.kill()

    def doubt(self) -> None:
        """What is not accepted may never be, from here on."""
        for _, _, params, _ in self.app.outgoing._kept:
            if isinstance(params, Emit):
                self.world.database.unaccepted.add(getattr(params.item, "text", ""))
