"""The first message of a client on each connection."""

from __future__ import annotations

from holdfast.client import commands
from holdfast.client.state import State
from holdfast.protocols import holdfast_v1 as wire


class Handshake:
    """Which session the client asks for, and its position in that session's output."""

    def __init__(self, state: State, client: str) -> None:
        self.code = ""
        """The resume code of the session that is wanted in place of the client's own."""
        self.auth = ""
        """The token that proves who the user is."""
        self.fresh = True
        """Whether nothing of this session is shown: an epoch and a position mean nothing then."""
        self.size = (0, 0)
        """Of the screen, in characters: width and height."""
        self._state = state
        self._client = commands.text("client", client)[: wire.NAME_CHARS_MAX]

    def hello(self) -> wire.Hello:
        """The message for a new attempt, which is counted."""
        state = self._state
        state.attempts += 1
        knows_position = not (self.fresh or self.code)
        return wire.Hello(
            token="" if self.code else state.token,
            acked=state.acknowledged if state.token and not self.code else 0,
            code=self.code,
            epoch=state.epoch if knows_position else "",
            last=state.last if knows_position else 0,
            attempt=state.attempts,
            auth=self.auth,
            client=self._client,
            width=self.size[0],
            height=self.size[1],
        )
