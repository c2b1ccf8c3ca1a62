"""Finds commands.

A context's commands are the `COMMANDS` of the modules in the package of its
name below `commands`. To add a command, add a module: nothing lists them. A
command in a module of its own name is found without importing the others, so a
small script starts fast.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from holdfast.vtc.language.command import Command, Context

_PACKAGE = "holdfast.vtc.commands"


class _Shelf:
    """The commands of one context, as far as they are loaded."""

    def __init__(self, context: Context) -> None:
        self._package = f"{_PACKAGE}.{context.value}"
        found = iter_modules(import_module(self._package).__path__)
        self._waiting = {module.name for module in found}
        self.commands: dict[str, Command] = {}

    def load(self, module: str) -> None:
        """Load the commands of a module, if there is one of that name."""
        if module in self._waiting:
            self._waiting.discard(module)
            for command in import_module(f"{self._package}.{module}").COMMANDS:
                self.commands[command.name] = command

    def load_all(self) -> None:
        for module in sorted(self._waiting):
            self.load(module)


_shelves: dict[Context, _Shelf] = {}


def _shelf(context: Context) -> _Shelf:
    if context not in _shelves:
        _shelves[context] = _Shelf(context)
    return _shelves[context]


def find(context: Context, name: str) -> Command | None:
    """The command called `name` in a context: its own, or one that stands anywhere."""
    shelves = _shelf(context), _shelf(Context.ANYWHERE)
    for shelf in shelves:
        shelf.load(name)
    if not any(name in shelf.commands for shelf in shelves):
        for shelf in shelves:
            shelf.load_all()
    return next((shelf.commands[name] for shelf in shelves if name in shelf.commands), None)


def commands(context: Context) -> list[Command]:
    """All commands of a context by name, without those that stand anywhere."""
    shelf = _shelf(context)
    shelf.load_all()
    return [shelf.commands[name] for name in sorted(shelf.commands)]
