"""The publications of an application's own instances, over the link."""

from __future__ import annotations

from typing import Final

from holdfast.core.validation import UnsendableError
from holdfast.link import messages as m
from holdfast.link.peer import RequestError
from holdfast.net.log import RateLimitedLogger
from holdfast.sessions.port import UnknownSessionError
from holdfast.sessions.publication_ids import IdReusedError, PublicationIds
from holdfast.sessions.publishing import Publication, Published, Publishing
from holdfast.sessions.stores.base import StoreError
from holdfast.sessions.waiters import StoreUnavailableError

_log: Final = RateLimitedLogger("holdfast.link")


class Publications:
    """Carries out the requests `publish`. All instances of an application share the `ids`."""

    def __init__(self, publishing: Publishing, ids: PublicationIds) -> None:
        self._publishing = publishing
        self.ids = ids

    async def carry_out(self, it: Publication) -> Published:
        """Carry out a publication. Raises `RequestError`."""
        try:
            return await self._publishing.carry_out(it, self.ids)
        except UnknownSessionError as error:
            raise RequestError(m.UNKNOWN_SESSION, str(error)) from error
        except IdReusedError as error:
            raise RequestError("id_reused", str(error)) from error
        except UnsendableError as error:
            raise RequestError("bad_params", str(error)) from error
        except (StoreUnavailableError, StoreError) as error:
            _log.warning("publication not stored", error=str(error))
            raise RequestError("unavailable", str(error), retry_s=1.0) from error
