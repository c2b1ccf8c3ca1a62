"""Holdfast holds your users' connections and sessions while your application comes and goes."""

from __future__ import annotations

from importlib.metadata import version

__all__ = ["__version__"]

__version__ = version("holdfast")
