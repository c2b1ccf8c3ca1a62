"""What an application has registered, by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from inspect import isawaitable, iscoroutinefunction, unwrap
from typing import Any, Final, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


_PLAIN: Final = frozenset(
    {
        "start", "stop", "authenticate", "certificate", "profiles", "create_profile",
        "select_profile", "remember",
    }
)  # fmt: skip
"""The handlers that may be plain functions: they answer, and send nothing to a session."""


class Registered:
    """The handlers of an application, each `on_NAME` under its name."""

    def __init__(self) -> None:
        self._by_name: dict[str, Callable[..., Any]] = {}

    def has(self, name: str) -> bool:
        """Whether there is a handler `on_NAME`."""
        return name in self._by_name

    async def call(self, name: str, *args: Any) -> Any:
        """Call the handler `on_NAME`, if there is one."""
        handler = self._by_name.get(name)
        if handler is None:
            return None
        result = handler(*args)
        return await result if isawaitable(result) else result

    def _set(self, name: str, handler: F) -> F:
        if not callable(handler):
            raise TypeError(f"on_{name}: expected a function, found {handler!r}")
        if name not in _PLAIN and not _is_coroutine_function(handler):
            raise TypeError(
                f"on_{name}: expected a coroutine function (async def), found {handler!r}"
            )
        if name in self._by_name:
            raise ValueError(f"on_{name}: there is a handler already")
        self._by_name[name] = handler
        return handler


def _is_coroutine_function(handler: Any) -> bool:
    """Whether a call returns a coroutine: also of a method, a partial or a decorated function."""
    while isinstance(handler, partial):
        handler = handler.func
    handler = unwrap(handler)
    return iscoroutinefunction(handler) or iscoroutinefunction(type(handler).__call__)
