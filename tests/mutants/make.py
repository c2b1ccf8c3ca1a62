"""The mutants of a module, and samples of the mutants of all modules."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import libcst  # type: ignore[import-not-found, unused-ignore]
from mutmut.mutation import mutators  # type: ignore[import-not-found, unused-ignore]

from tests.mutants.equivalent import is_equivalent

SOURCE: Final = Path("src/holdfast")
_LEFT_OUT: Final = (mutators.operator_string, mutators.operator_dict_arguments)
"""Texts are checked where somebody reads them, and no behaviour hangs on most."""
_NOT_RUN: Final = (libcst.Annotation, libcst.Decorator, libcst.ImportFrom, libcst.Import)
_TRIES_PER_MUTANT: Final = 20
_ALSO: Final = {
    "backends/upstream_config": ("gateway/test_keys.py",),
    "core/limits": ("docs/test_limits.py",),
    "demo": ("peers/test_chat.py",),
    "net/server/bind": ("gateway/test_keys.py",),
    "net/server/handshake": ("gateway/test_keys.py",),
    "net/tls/options": ("gateway/test_keys.py",),
    "protocols/websocket/deflate": ("gateway/test_keys.py",),
    "vtc/actors": ("vtc/dialogue", "vtc/haproxy"),
    "vtc/commands/anywhere": ("vtc/language/test_manual.py",),
    "vtc/commands/cli": ("vtc/haproxy", "vtc/language/test_manual.py"),
    "vtc/commands/http": ("vtc/http", "vtc/h2", "vtc/language/test_manual.py"),
    "vtc/commands/lines": ("vtc/dialogue", "vtc/language/test_manual.py"),
    "vtc/commands/session": ("vtc/dialogue", "vtc/language/test_manual.py"),
    "vtc/commands/stream": ("vtc/h2", "vtc/language/test_manual.py"),
    "vtc/commands/syslog": ("vtc/actors", "vtc/language/test_manual.py"),
    "vtc/commands/top": (
        "vtc/actors",
        "vtc/http",
        "vtc/dialogue",
        "vtc/haproxy",
        "vtc/language/test_manual.py",
    ),
    "vtc/commands/tunnel": ("vtc/actors", "vtc/language/test_manual.py"),
    "vtc/commands/ws": ("vtc/dialogue", "vtc/language/test_manual.py"),
    "vtc/dialogue": ("vtc/language/test_manual.py",),
    "vtc/gateway": ("vtc/dialogue",),
    "vtc/run": ("vtc/commands",),
}
"""Tests that mirror a module or a folder in another place: the page on limits is compared with the
limits, the keys of the configuration stand in one list, and a script's commands are specified by
the scripts of what they act on."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """A change of one line of one module."""

    path: Path
    line: int
    before: str
    after: str
    text: str
    """The module with the change."""


class Module:
    """A module, and the changes that may be made to it. A text is made of what is wanted alone."""

    def __init__(self, path: Path, source: str) -> None:
        self._path = path
        self._source = source
        self._tree: Any = libcst.parse_module(source)
        self._changes = list(_changes(self._tree))
        self._made: dict[int, Mutant | None] = {}

    def __len__(self) -> int:
        return len(self._changes)

    def mutant(self, number: int) -> Mutant | None:
        """The mutant of that number, in the order of the text; none where it is no Python."""
        if number not in self._made:
            self._made[number] = self._make(number)
        return self._made[number]

    def _make(self, number: int) -> Mutant | None:
        node, changed = self._changes[number]
        text: str = self._tree.deep_replace(node, changed).code
        if text == self._source or not _compiles(text):
            return None
        line = _first_difference(self._source, text)
        before, after = (whole.splitlines()[line - 1].strip() for whole in (self._source, text))
        module = str(self._path.relative_to(SOURCE)) if self._path.is_relative_to(SOURCE) else ""
        if is_equivalent(module, before, after):
            return None
        return Mutant(self._path, line, before, after, text)


def sample(root: Path, number: int, seed: int) -> list[Mutant]:
    """So many mutants of the modules below `root`. Fewer where there are no more.

    A module is drawn by its size, then one of its mutants. The same seed draws the same mutants,
    except of modules that have changed: so a sample can be run again when tests are added.
    """
    sizes = {
        str(path.relative_to(root)): path.stat().st_size
        for path in sorted((root / SOURCE).rglob("*.py"))
        if path.stat().st_size
    }
    modules: dict[str, Module] = {}
    drawn: dict[tuple[Path, str], Mutant] = {}
    for attempt in range(number * _TRIES_PER_MUTANT):
        if len(drawn) == number:
            break
        name = _drawn_by_size(sizes, f"{seed} {attempt}")
        if name not in modules:
            modules[name] = Module(Path(name), (root / name).read_text())
        module = modules[name]
        mutant = module.mutant(int(_random(f"{seed} {attempt}") * len(module))) if module else None
        if mutant is not None:
            drawn[mutant.path, mutant.text] = mutant
    return list(drawn.values())


def _drawn_by_size(sizes: Mapping[str, int], key: str) -> str:
    """One of the names. A size that changes moves few draws, unlike with a running total."""
    return min(sizes, key=lambda name: -math.log(1 - _random(f"{key} {name}")) / sizes[name])


def _random(key: str) -> float:
    """A number from 0 to below 1, the same for the same key."""
    return int.from_bytes(sha256(key.encode()).digest()[:6]) / (1 << 48)


def mirrored(root: Path, module: Path) -> list[list[str]]:
    """The tests that mirror a module, group by group: those of its own name, the rest of its
    folder, those of `_ALSO`, and those of each folder above it."""
    place = module.relative_to(SOURCE)
    folder = Path("tests") / place.parent
    also = _also(root, place)
    named = re.compile(rf"/test_{module.stem.strip('_')}(_\w+)?\.py$")
    groups: list[list[str]] = []
    while folder.parts[1:] or not any(groups):
        every = sorted(str(path.relative_to(root)) for path in (root / folder).glob("test_*.py"))
        own = [path for path in every if named.search(path)]
        groups += [own, [path for path in every if path not in own], also]
        also = []
        if folder == Path("tests"):
            break
        folder = folder.parent
    return [group for group in groups if group]


def _also(root: Path, place: Path) -> list[str]:
    names = _ALSO.get(str(place.with_suffix("")), _ALSO.get(str(place.parent), ()))
    paths = [root / "tests" / name for name in names]
    files = [file for path in paths for file in (sorted(path.glob("test_*.py")) or [path])]
    return [str(file.relative_to(root)) for file in files]


def _changes(node: Any) -> Iterator[tuple[Any, Any]]:
    for kind, mutate in mutators.mutation_operators:
        if isinstance(node, kind) and mutate not in _LEFT_OUT:
            for changed in mutate(node):
                yield node, changed
    children: Sequence[Any] = node.children
    for child in children:
        if not isinstance(child, _NOT_RUN):
            yield from _changes(child)


def _compiles(text: str) -> bool:
    try:
        compile(text, "mutant", "exec", dont_inherit=True)
    except SyntaxError:
        return False
    return True


def _first_difference(before: str, after: str) -> int:
    pairs = zip(before.splitlines(), after.splitlines(), strict=False)
    return next((number for number, (one, other) in enumerate(pairs, 1) if one != other), 1)
