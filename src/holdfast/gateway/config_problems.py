"""All that is wrong with a configuration at once, for `holdfast check`.

A conversion to types ends at its first fault. So each fault is noted and taken out of the data,
until the rest can be converted; then every step of the check runs for itself. What a taken-out
fault would cause in its own table is not told.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Sequence
from difflib import get_close_matches
from itertools import chain
from typing import Any, Final

import msgspec
from msgspec import inspect

from holdfast.backends.registry import KINDS, OWN_KEYS, SELECTOR, keys_of
from holdfast.core.errors import ConfigurationError
from holdfast.gateway.config import Config, convert, steps_of
from holdfast.gateway.config_faults import Step, explain, steps_in, type_at
from holdfast.net.addresses import InvalidAddressError

PROBLEMS_MAX: Final = 100

_PLACEHOLDERS: Final[tuple[Any, ...]] = ("", 0, False, [], {})
"""Tried in place of a required value, until one has the type that is wanted."""
_HARMLESS: Final = "echo"
"""The backend in place of one that there is not: it needs nothing else."""
_UNKNOWN: Final = r"Object contains unknown field `(.*)`"
_MISSING: Final = r"Object missing required field `(.*)`"


def problems_of(
    text: str, also: Callable[[Config], Iterable[Callable[[], object]]]
) -> tuple[list[str], Config | None]:
    """What is wrong with the text of a configuration, and the configuration as far as it is right;
    `None` if nothing of it can be used. `also` has further steps of the check."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return [f"not TOML: {error}"], None
    typed = _Typed(data)
    config = typed.convert()
    if config is None:
        return typed.problems, None
    found = [
        problem
        for problem in problems_in(chain(steps_of(config), also(config)))
        if _table(steps_in(problem.partition(":")[0])) not in typed.spoilt
    ]
    return typed.problems + found, config


def problems_in(steps: Iterable[Callable[[], object]]) -> list[str]:
    """What the steps of a check find, each once."""
    found: dict[str, None] = {}
    for step in steps:
        try:
            step()
        except InvalidAddressError:
            pass  # the address was found to be wrong under its key
        except ConfigurationError as error:
            found[str(error)] = None
    return list(found)


class _Typed:
    """The conversion of data to a configuration, fault by fault."""

    def __init__(self, data: dict[str, Any]) -> None:
        self.problems: list[str] = []
        self.spoilt: set[str] = set()
        """The tables that a fault was taken out of, as `_table` names them."""
        self._data = data
        self._placed: dict[tuple[Step, ...], Iterator[Any]] = {}
        """By the place of a required value that is missing: what is still to be tried there."""
        self._taken: set[tuple[Step, ...]] = set()
        """Where a wrong value was taken out."""

    def convert(self) -> Config | None:
        """Note what is wrong, and convert the rest; `None` if that is impossible."""
        for _ in range(PROBLEMS_MAX):
            try:
                return convert(self._data)
            except msgspec.ValidationError as error:
                if not self._take_out(str(error)):
                    return None
            except ConfigurationError as error:  # a listener's backend, or a key of another one
                if not self._take_out_backend(str(error)):
                    return None
        return None

    def _take_out(self, message: str) -> bool:
        """Note a fault and take it out of the data; false if it is not found there."""
        words, _, where = message.partition(" - at `$")
        steps = steps_in(where.rstrip("`").lstrip("."))
        unknown, missing = re.match(_UNKNOWN, words), re.match(_MISSING, words)
        try:
            if missing is not None:
                place = (*steps, missing[1])
                if place not in self._placed:
                    if place not in self._taken:
                        self._note(message, place)
                    self._placed[place] = iter(_PLACEHOLDERS)
                return self._place(place)
            if unknown is not None:
                self._note(message, steps, suggestion(unknown[1], steps))
                del self._at(steps)[unknown[1]]
                return True
            if tuple(steps) in self._placed:
                return self._place(tuple(steps))
            self._note(message, steps)
            self._taken.add(tuple(steps))
            del self._at(steps[:-1])[steps[-1]]
        except (KeyError, IndexError, TypeError):
            return False
        return True

    def _take_out_backend(self, message: str) -> bool:
        steps = steps_in(message.partition(":")[0])
        if _table(steps) not in self.spoilt:
            self.problems.append(message)
        self.spoilt.add(_table(steps))
        try:
            table = self._at(steps[:-1])
            if steps[-1] == SELECTOR:
                table[SELECTOR] = _HARMLESS
            else:
                del table[steps[-1]]
        except (KeyError, IndexError, TypeError):
            return False
        return True

    def _note(self, message: str, steps: Sequence[Step], more: str = "") -> None:
        self.problems.append(explain(message, self._data, Config) + more)
        if steps:
            self.spoilt.add(_table(steps))

    def _place(self, place: tuple[Step, ...]) -> bool:
        """Put the next value that may be right in place of a missing one."""
        for value in self._placed[place]:
            self._at(place[:-1])[place[-1]] = value
            return True
        return False

    def _at(self, steps: Sequence[Step]) -> Any:
        found: Any = self._data
        for step in steps:
            found = found[step]
        return found


def _table(steps: Sequence[Step]) -> str:
    """The table that a key stands in; empty for a key of none."""
    match steps:
        case [str(name), int(number), *_]:
            return f"{name}[{number}]"
        case [str(name), *_]:
            return name
        case _:
            return ""


def suggestion(unknown: str, steps: Sequence[Step]) -> str:
    """The known key that an unknown one may be meant for, as the end of a sentence."""
    found = get_close_matches(unknown, _keys(steps), n=1)
    return f"; did you mean {found[0]!r}?" if found else ""


def _keys(steps: Sequence[Step]) -> list[str]:
    """The keys that there can be at a place."""
    match steps:
        case ["listener", int(), str(name), *_] if name in OWN_KEYS:
            kind = next(kind for kind in KINDS.values() if name in keys_of(kind))
            found = type_at(steps[2:], kind.Config)
        case _:
            found = type_at(steps, Config)
    keys = (
        [one.encode_name for one in found.fields] if isinstance(found, inspect.StructType) else []
    )
    return keys + sorted(OWN_KEYS) if steps[:1] == ["listener"] and len(steps) == 2 else keys
