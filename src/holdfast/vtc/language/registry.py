"""Finds commands.

The commands of a context are the `COMMANDS` of the modules in the package of its name below
`commands`. To add a command, add a module; there is no list to edit. A command in a module of
its own name is found without importing the others, so a small script starts fast.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from holdfast.vtc.language.command import Command
from holdfast.vtc.language.context import Context

_PACKAGE = "holdfast.vtc.commands"


class _ContextCommands:
    """The commands of one context that are loaded."""

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


_loaded: dict[Context, _ContextCommands] = {}


def _commands_of(context: Context) -> _ContextCommands:
    if context not in _loaded:
        _loaded[context] = _ContextCommands(context)
    return _loaded[context]


def find(context: Context, name: str) -> Command | None:
    """The command called `name` in a context: its own, or one that stands anywhere."""
    places = _commands_of(context), _commands_of(Context.ANYWHERE)
    for place in places:
        place.load(name)
    if not any(name in place.commands for place in places):
        for place in places:
            place.load_all()
    return next((place.commands[name] for place in places if name in place.commands), None)


def commands(context: Context) -> list[Command]:
    """All commands of a context by name, without those that stand anywhere."""
    found = _commands_of(context)
    found.load_all()
    return [found.commands[name] for name in sorted(found.commands)]
