"""Back-pressure on a peer that sends and does not read.

The kernel buffers megabytes for a peer that reads nothing, and only then do the connection's
own buffers fill, in the middle of input that is partly answered: hundreds of kilobytes for each
such peer. Where input is answered, the kernel is therefore asked from time to time, while much
input arrives, how much output it holds. If that is much and the peer's window is closed,
reading stops until the peer has read most of it. A peer behind a slow network has an open
window, and is not affected.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from holdfast.net.runtime.runtime import Runtime
from holdfast.net.transport.tcp_info import Socket, input_held, output_held, tcp_info

_TRUSTED_BYTES_MIN: Final = 1024 * 1024
"""Who has sent less is looked at each time that a meter is read."""
_LOOK_BYTES_MAX: Final = 4 * 1024 * 1024
"""So much may come between two looks at a peer that has been found reading."""
_MUCH_BYTES: Final = 64 * 1024
_MORE_BYTES: Final = 128 * 1024
_PAUSE_SECONDS_MIN: Final = 0.001
_PAUSE_SECONDS_MAX: Final = 1.0


class UnreadOutput(NamedTuple):
    """How a peer that does not read stands, in bytes."""

    unread: int
    taken: int


def unread_output(sock: Socket | None) -> UnreadOutput | None:
    """How `sock`'s peer stands if it does not read, as far as the kernel tells; else `None`."""
    unread = output_held(sock)
    if unread < _MUCH_BYTES:
        return None
    info = tcp_info(sock)
    if info is None or info.window != 0 or not info.established:
        return None
    return UnreadOutput(unread, info.acked)


def keeps_sending(sock: Socket) -> bool:
    """Whether its peer has sent much more already."""
    return input_held(sock) >= _MORE_BYTES


class BackPressure:
    """Whether a peer reads the answers to its input; reading stops while it does not."""

    __slots__ = ("_look_at", "_pause", "_runtime", "_taken")

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._pause: ReadPause | None = None
        self._taken = -1
        self._look_at = 0

    @property
    def progress_at(self) -> float | None:
        """When the peer that is held was last seen to have taken something, in the runtime's time.

        `None`: it is not held.
        """
        return self._pause.progress_at if self._pause is not None else None

    def due(self, came: int) -> bool:
        """Whether to check, now that `came` bytes have arrived."""
        return self._pause is None and came >= self._look_at

    def holds(self, sock: Socket | None, came: int, over: Callable[[], None]) -> bool:
        """Look at the peer: whether it does not read. `over` is called once it has read enough."""
        found = unread_output(sock)
        if found is None and came >= _TRUSTED_BYTES_MIN:
            # A client that was found reading is checked less and less often.
            self._look_at = came + min(came, _LOOK_BYTES_MAX)
        before, self._taken = self._taken, found.taken if found is not None else -1
        # What was written just now it cannot have read yet: unless it goes on sending.
        if sock is None or found is None or not (found.taken == before or keeps_sending(sock)):
            return False
        self._pause = ReadPause(self._runtime, sock, found, over)
        return True

    def end_pause(self) -> None:
        """Look at the peer no more."""
        if self._pause is not None:
            self._pause.end()
            self._pause = None


class ReadPause:
    """Looks now and then whether a peer reads again, as often as that is worth it."""

    __slots__ = ("_handle", "_over", "_pause", "_runtime", "_socket", "_unread", "progress_at")

    def __init__(
        self,
        runtime: Runtime,
        sock: Socket,
        found: UnreadOutput,
        over: Callable[[], None],
    ) -> None:
        self._runtime = runtime
        self._socket = sock
        self._unread = found
        self._over = over
        self._pause = _PAUSE_SECONDS_MIN
        self.progress_at = runtime.timers.time()
        """When the peer was last seen to have taken something."""
        self._handle = runtime.loop.call_later(self._pause, self._look)

    def end(self) -> None:
        """Look no more."""
        self._handle.cancel()

    def _look(self) -> None:
        found = unread_output(self._socket)
        if found is None:
            self._over()
            return
        self._pause = self._next_pause(found)
        self._unread = found
        self._handle = self._runtime.loop.call_later(self._pause, self._look)

    def _next_pause(self, found: UnreadOutput) -> float:
        """Until it will have read enough, at the speed that it has; longer and longer for none."""
        taken = found.taken - self._unread.taken
        if not taken:
            return min(2 * self._pause, _PAUSE_SECONDS_MAX)
        now = self._runtime.timers.time()
        seconds = now - self.progress_at
        self.progress_at = now
        wanted = (found.unread - _MUCH_BYTES) * seconds / taken
        return min(max(wanted, _PAUSE_SECONDS_MIN), _PAUSE_SECONDS_MAX)
