"""Publishing over the link: outputs for sessions, users and groups, with an answer."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from holdfast.app.node import Node
from holdfast.app.progress import Progress
from holdfast.core.backoff import Backoff
from holdfast.core.errors import HoldfastError, Source
from holdfast.core.items import Output, Text
from holdfast.core.validation import check_delivery, check_output, check_text
from holdfast.link import messages as m
from holdfast.link.peer import LinkClosedError, RequestError
from holdfast.sessions.publishing import Publication, Published, Targets

Names = str | Iterable[str]
SECONDS_MAX: Final = 30.0
_FIRST_PAUSE_SECONDS: Final = 0.1
_PAUSE_SECONDS_MAX: Final = 2.0
_UNAVAILABLE: Final = "unavailable"


class PublishRefusedError(HoldfastError):
    """The gateway refused a publication: nothing was sent. `code` says why."""

    source = Source.REMOTE

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


class UnknownSessionError(PublishRefusedError):
    """The application has none of these sessions."""


class PublishingApp(Protocol):
    """The application, as far as a publication needs it."""

    instance: str
    progress: Progress

    @property
    def bounds(self) -> m.Bounds: ...

    @property
    def nodes(self) -> Sequence[Node]: ...

    @property
    def linked(self) -> bool: ...


class Publisher:
    """Sends the publications of one application. Each has an id, so it is carried out once,
    however often the link breaks."""

    def __init__(self, app: PublishingApp) -> None:
        self._app = app
        self._numbers = itertools.count(1)

    async def publish(
        self,
        items: Iterable[Output | str],
        *,
        session: Names,
        user: Names,
        group: Names,
        delivery: str,
        id_: str,
        seconds_max: float,
    ) -> Published:
        """As `App.publish`."""
        app = self._app
        outputs = tuple(Text(item) if isinstance(item, str) else item for item in items)
        bounds = app.bounds
        for item in outputs:
            check_output(item, bounds.output_bytes_max)
        check_delivery(delivery, bounds.name_bytes_max)
        check_text("id", id_, bounds.name_bytes_max)
        to = Targets(_names(session), _names(user), _names(group))
        it = Publication(to, outputs, delivery, id_ or f"{app.instance}:{next(self._numbers)}")
        async with asyncio.timeout(seconds_max):
            return await self._send(it)

    async def _send(self, it: Publication) -> Published:
        app = self._app
        await app.progress.until(lambda: app.linked)
        async with asyncio.TaskGroup() as tasks:
            asked = [tasks.create_task(self._send_to(node, it)) for node in app.nodes]
        answers = [answer for task in asked if (answer := task.result()) is not None]
        found = [answer for answer in answers if isinstance(answer, Published)]
        for error in answers:
            if not found and not isinstance(error, Published):
                raise error
        return merged(it.to, found, len(answers))

    async def _send_to(self, node: Node, it: Publication) -> Published | PublishRefusedError | None:
        """The answer of one node; `None` if that has ended."""
        app = self._app
        backoff = Backoff(_FIRST_PAUSE_SECONDS, _PAUSE_SECONDS_MAX)
        while True:
            try:
                await app.progress.until(lambda: node.linked or node not in app.nodes)
                if node not in app.nodes:
                    return None
                return await node.request(m.PUBLISH, it, Published)
            except LinkClosedError:
                pass  # sent again on the next link
            except RequestError as error:
                if error.code != _UNAVAILABLE:
                    unknown = error.code == m.UNKNOWN_SESSION
                    kind = UnknownSessionError if unknown else PublishRefusedError
                    return kind(str(error), error.code)
            await asyncio.sleep(backoff.pause(1.0))


def merged(to: Targets, answers: Sequence[Published], nodes: int) -> Published:
    """The answers of those of `nodes` that have some of the targets, as one.

    Unknown is what none of them knows.
    """
    if len(answers) == nodes == 1:
        return answers[0]
    unknown = to
    for answer in answers:
        unknown = Targets(
            _common(unknown.sessions, answer.unknown.sessions),
            _common(unknown.users, answer.unknown.users),
            _common(unknown.groups, answer.unknown.groups),
        )
    return Published(
        sum(answer.reached for answer in answers),
        sum(answer.attached for answer in answers),
        unknown,
        any(answer.repeated for answer in answers),
    )


def _common(names: tuple[str, ...], others: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in names if name in others)


def _names(names: Names) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)
