"""The handlers of an application whose users log in."""

from __future__ import annotations

from inspect import signature
from typing import Final

from holdfast.app.registered import F, Registered

_WITHOUT_PROPERTIES: Final = 2
"""Parameters of an `on_create_profile` that does not want them."""


class LoginHandlers(Registered):
    """The decorators for the handlers of logins and profiles."""

    def __init__(self) -> None:
        super().__init__()
        self.takes_properties = False
        """Whether `on_create_profile` wants the properties of a new profile."""

    def on_authenticate(self, handler: F) -> F:
        """`(claim: Authenticate) -> str | AuthResult`: authenticates a user; raises `Refusal`.

        With this handler, the application gets a session only after its login.
        """
        return self._set("authenticate", handler)

    def on_certificate(self, handler: F) -> F:
        """`(claim: Authenticate) -> str | AuthResult`: the user of a client that has shown a
        verified certificate; raises `Refusal` if that is nobody's.

        It is called before a person is asked: `claim.certificate` is the subject,
        `claim.client.certificate` has all of it. After a `Refusal` the client is asked to log in.
        It needs `on_authenticate`, and a listener with `client_certificates`.
        """
        return self._set("certificate", handler)

    def on_profiles(self, handler: F) -> F:
        """`(sid) -> list[ProfileSummary]`: the profiles that the session's user may choose from."""
        return self._set("profiles", handler)

    def on_create_profile(self, handler: F) -> F:
        """`(sid, name, properties) -> ProfileSummary`: a new one; raises `Refusal`.

        `properties` are texts by name, as the client gives them: check them. A handler with two
        parameters does not get them.
        """
        self._set("create_profile", handler)
        self.takes_properties = len(signature(handler).parameters) > _WITHOUT_PROPERTIES
        return handler

    def on_select_profile(self, handler: F) -> F:
        """`(sid, id) -> ProfileSummary`: the chosen one; raises `Refusal`."""
        return self._set("select_profile", handler)
