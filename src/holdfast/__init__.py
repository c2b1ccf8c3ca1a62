"""Holdfast holds your users' connections and sessions while your application comes and goes."""

from __future__ import annotations

from holdfast.core.compiled import choose_core

__all__ = ["__version__"]

choose_core()

__version__: str


def __getattr__(name: str) -> str:
    """The version, once somebody asks: to look it up takes longer than a small test script."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import version

    found = globals()[name] = version("holdfast")
    return found
