"""One instance of the application, and the database that its instances share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from holdfast.app import App, RefusedError
from holdfast.app.outgoing import Outgoing
from holdfast.app.session import Session
from holdfast.link.messages import Emit
from tests.simulation.process import Process

if TYPE_CHECKING:
    from tests.simulation.world import World


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
        self.accepted: set[str] = set()
        """What the gateway has stored, as it has told the instance."""
        self.unaccepted: set[str] = set()
        """Said by instances that died before it was accepted: it may have died with them."""
        self.refused: set[str] = set()
        """What the gateway refused, and told the instance so: another one had held the session
        meanwhile."""

    def due(self, sid: str) -> set[str]:
        """What a session must have been shown, or its client told of."""
        return set(self.said.get(sid, ())) - self.unaccepted - self.refused

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
        self._texts: set[str] = set()
        """All that it has said."""
        app, database = self.app, world.database

        @app.on_remember
        def remember() -> dict[str, int]:
            return dict(database.applied)

        @app.on_error
        async def failed(session: Session | None, error: Exception) -> None:
            if isinstance(error, RefusedError):
                database.refused |= {str(getattr(one, "text", "")) for one in error.outputs}

        @app.on_open
        async def opened(session: Session) -> None:
            await session.text(f"{session.sid} welcome")

        @app.on_text
        async def said(session: Session, text: str) -> None:
            if database.apply(session.sid, session.cseq, text):
                await self._say(session, f"did {text}")

        self.task = self.process.start(app.serve(world.links))

    def speak(self, index: int) -> None:
        """Say something unasked to one of its sessions."""
        sessions = list(self.app.sessions.values())
        if not (sessions and self.process.runs):
            return
        session = sessions[index % len(sessions)]
        if not session.outgoing.full:
            self._said += 1
            self.process.start(self._say(session, f"o {self._said}"))

    async def _say(self, session: Session, text: str) -> None:
        whole = f"{session.sid} {self.name} {text}"
        self._texts.add(whole)
        self.world.database.said.setdefault(session.sid, []).append(whole)
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
        database = self.world.database
        database.unaccepted |= self._texts - database.accepted

    def accepted(self, outgoing: Outgoing, texts: Iterable[str]) -> None:
        """A node of the gateway has stored what `outgoing` had kept."""
        self.world.database.accepted |= set(texts) - self._kept(outgoing)

    def refused(self, name: str, number: int) -> None:
        """A node of the gateway has refused the output with this number."""
        for node in self.app.nodes:
            if node.name == name:
                texts = {text for each, text in texts_of(node.outgoing) if each == number}
                self.world.database.refused |= texts - self._kept(node.outgoing)

    def _kept(self, but: Outgoing) -> set[str]:
        """What is kept for other nodes than that of `but`."""
        every = (outgoing for outgoing in self._outgoings if outgoing is not but)
        return {text for outgoing in every for _, text in texts_of(outgoing)}

    @property
    def idle(self) -> bool:
        """Whether everything is handled, and accepted."""
        return self.app.dispatcher.idle and all(one.idle for one in self._outgoings)

    @property
    def _outgoings(self) -> list[Outgoing]:
        """All that keep outputs."""
        found = [node.outgoing for node in self.app.nodes]
        for session in self.app.sessions.values():
            found.append(session.outgoing)
            if session.outgoing.behind is not None:
                found.append(session.outgoing.behind)
        return found


def texts_of(outgoing: Outgoing) -> list[tuple[int, str]]:
    """What is kept, with its numbers."""
    return [
        (number, getattr(params.item, "text", ""))
        for number, _, params, _ in outgoing._kept
        if isinstance(params, Emit)
    ]
