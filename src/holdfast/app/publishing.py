"""Publishing over the link: outputs for sessions, users and groups, with an answer."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterable
from typing import Any, Final, Protocol, TypeVar

from holdfast.app.progress import Progress
from holdfast.core.backoff import Backoff
from holdfast.core.errors import HoldfastError, Source
from holdfast.core.items import Output, Text
from holdfast.core.validation import check_delivery, check_output, check_text
from holdfast.link import messages as m
from holdfast.link.peer import LinkClosedError, RequestError
from holdfast.sessions.publishing import Publication, Published, Targets

T = TypeVar("T")
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
    def linked(self) -> bool: ...

    async def request(self, method: str, params: Any, result: type[T]) -> T: ...


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
        backoff = Backoff(_FIRST_PAUSE_SECONDS, _PAUSE_SECONDS_MAX)
        while True:
            try:
                await app.progress.until(lambda: app.linked)
                return await app.request(m.PUBLISH, it, Published)
            except LinkClosedError:
                pass  # sent again on the next link
            except RequestError as error:
                if error.code != _UNAVAILABLE:
                    unknown = error.code == m.UNKNOWN_SESSION
                    kind = UnknownSessionError if unknown else PublishRefusedError
                    raise kind(str(error), error.code) from error
            await asyncio.sleep(backoff.pause(1.0))


def _names(names: Names) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)
