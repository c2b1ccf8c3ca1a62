"""Writes the forms of all commands into declarations.txt: `python -m
tests.vtc.commands.declarations`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from holdfast.vtc.language.command import Command, CommandOption
from holdfast.vtc.language.context import Context
from holdfast.vtc.language.registry import commands

FILE: Final = Path(__file__).with_suffix(".txt")


def declarations() -> str:
    """A line for each command and one for each option, which names its command."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    for context in Context:
        if context is not Context.SAME:
            for command in sorted(commands(context), key=lambda command: command.name):
                yield f"{context.value} {_command(command)}"
                name = f"{context.value} {command.name}"
                yield from (f"{name}: {_option(option)}" for option in command.options)


def _command(command: Command) -> str:
    most = "..." if command.words_max is None else command.words_max
    parts = [f"{command.name} {command.usage}".rstrip(), f"words {command.words_min}-{most}"]
    if command.label or command.letter:
        parts.append(f"instance {command.label!r} {command.letter!r}")
    if command.spec is not None:
        parts.append(f"spec {command.spec.name.lower()}")
    if command.unknown:
        parts.append(f"unknown {command.unknown!r}")
    if command.exports:
        parts.append(f"exports {' '.join(command.exports)}")
    if command.ignores_rest:
        parts.append("ignores the rest")
    if command.check:
        parts.append("checked")
    if command.prepare:
        parts.append("prepared")
    if command.writes:
        parts.append("only writes")
    return " | ".join(parts)


def _option(option: CommandOption) -> str:
    parts = [" ".join((option.flag, *option.values))]
    if option.group:
        parts.append(f"group {option.group}")
    if option.spec is not None:
        parts.append(f"spec {option.spec.name.lower()}")
    return " | ".join(parts)


if __name__ == "__main__":
    FILE.write_text(declarations())
