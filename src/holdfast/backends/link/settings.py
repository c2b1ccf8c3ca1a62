"""What the store keeps of an application between runs of the gateway, beside its sessions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from holdfast.backends.link.config import ANY_APP
from holdfast.core.login import Policy
from holdfast.link.codec import UNREADABLE
from holdfast.link.peer import RequestError
from holdfast.net.log import RateLimitedLogger
from holdfast.sessions.journal import Journal

_log: Final = RateLimitedLogger("holdfast.link")


class AppSettings:
    """The policy of a backend's application, and the application's name if the backend takes any.

    `policy_known` is called when `policy` is no longer `None`.
    """

    def __init__(self, name: str, journal: Journal, policy_known: Callable[[], None]) -> None:
        self.policy: Policy | None = None
        """What the application wants of a client before it gets its session, once that is known."""
        self._name = name
        self._journal = journal
        self._policy_known = policy_known
        self._bound = ""
        """Of `ANY_APP`: the name of the application that the backend serves."""

    def restore(self, settings: Mapping[str, bytes]) -> None:
        """Take the settings of an earlier gateway."""
        self._bound = settings.get(_bound_key(self._name), b"").decode(errors="replace")
        policy = settings.get(policy_key(self._name))
        if policy is not None:
            try:
                self.policy = msgspec.msgpack.decode(policy, type=Policy)
            except (*UNREADABLE, TypeError) as error:  # an application says it when it links
                fault = str(error)
                _log.error("malformed policy of an application", app=self.app, fault=fault)

    def bind(self, app: str, kept: Callable[[], int], linked: int) -> None:
        """Serve the application `app` from now on.

        Raises `RequestError` if the backend serves another one: one with sessions that are `kept`
        (they are counted if need be), or `linked` instances.
        """
        if self._name != ANY_APP or app == self._bound:
            return
        if self._bound and (kept() or linked):
            raise RequestError(
                "unknown_app",
                f"found application {app!r}, expected {self._bound!r}: this gateway's listeners"
                f" serve that one, and {kept()} of its sessions are kept. Name the application"
                ' in the configuration (listener.app = "...") to serve several',
            )
        self._bound = app
        self._journal.keep(_bound_key(self._name), app.encode())

    @property
    def app(self) -> str:
        """The name of the application; empty as long as it may have any."""
        return self._bound if self._name == ANY_APP else self._name

    def set_policy(self, policy: Policy) -> None:
        """Store the policy, if it is another one."""
        if policy != self.policy:
            self._journal.keep(policy_key(self._name), msgspec.msgpack.encode(policy))
        was_known = self.policy is not None
        self.policy = policy
        if not was_known:
            self._policy_known()


def policy_key(app: str) -> str:
    """The store's key for an application's policy."""
    return f"policy:{app}"


def _bound_key(app: str) -> str:
    """The store's key for the name of the application that a backend serves."""
    return f"bound:{app}"
