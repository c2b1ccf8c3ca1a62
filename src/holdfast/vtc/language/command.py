"""The declaration of a command, for running, checking and the manual."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from holdfast.vtc.language.context import Context
from holdfast.vtc.language.errors import Failure, Note
from holdfast.vtc.language.source import Token
from holdfast.vtc.run.scope import Scope


class CommandOption(NamedTuple):
    """One option of a command."""

    flag: str
    """As it is written; a last `*` stands for any rest."""
    values: tuple[str, ...]
    """The names of the words that follow it."""
    text: str
    group: int
    """Options of a lower group cannot follow one of a higher group."""
    spec: Context | None
    """Where the last value's commands stand, if it is a specification."""


def option(usage: str, text: str, *, group: int = 0, spec: Context | None = None) -> CommandOption:
    """An option from its usage, `"-hdr STRING"`."""
    flag, *values = usage.split()
    return CommandOption(flag, tuple(values), text, group, spec)


class ParsedOption(NamedTuple):
    """An option with its values as a script gave it, or a word that is no option."""

    flag: str
    """The option's flag; empty for a word that is no option."""
    values: tuple[Token, ...]
    token: Token


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command: its syntax, its description and its implementation."""

    name: str
    run: Callable[[Scope[Any], Args], Awaitable[None]]
    usage: str
    """The words after the name, in one line."""
    text: str
    """The description for the manual, in Markdown."""
    example: str = ""
    """A whole script that passes, for the manual; it is run as a test."""
    options: tuple[CommandOption, ...] = ()
    label: str = ""
    """If the first word names an instance: the kind of instance in messages."""
    letter: str = ""
    """The first letter of such a name."""
    words_min: int = 0
    """Words that are neither the instance's name nor part of an option."""
    words_max: int | None = 0
    spec: Context | None = None
    """Where the commands of the last such word stand, if it is a specification."""
    ignores_rest: bool = False
    """Whether all words after the first that is no option are ignored."""
    unknown: str = ""
    """The message for an unknown option."""
    exports: tuple[str, ...] = ()
    """The macros of an instance, after its name and `_`; `*` is any."""
    check: Callable[[Args], None] | None = None
    """Further checks before anything runs. Raises `Failure`."""
    prepare: Callable[[Args], None] | None = None
    """Further preparation before anything runs, after `check`. Raises `Failure`."""
    writes: bool = False
    """Whether all that it does is to write bytes, without waiting for anything."""


class Args:
    """The words of a command in a script, after its name."""

    __slots__ = ("command", "name", "words")

    def __init__(self, command: Command, name: Token, words: list[Token]) -> None:
        self.command = command
        self.name = name
        self.words = words

    def instance(self) -> Token:
        """The instance's name. Raises `Failure` if it is missing or has the wrong letter."""
        command = self.command
        if not self.words:
            raise Failure(f"{command.name}: the name is missing", self.name.position())
        if not self.words[0].startswith(command.letter):
            text = f"{command.label} name must start with '{command.letter}'"
            raise Failure(f"{text} (got {self.words[0]})", self.words[0].position())
        return self.words[0]

    def walk(self) -> Iterator[ParsedOption]:
        """Yield the options and words in order. Raises `Failure` for unknown ones."""
        group = 0
        place = 1 if self.command.label else 0
        while place < len(self.words):
            word = self.words[place]
            found = self._option(word, group)
            if found is None:
                if word.startswith("-") or self.command.words_max == 0:
                    raise self.unknown(word)
                yield ParsedOption("", (word,), word)
                if self.command.ignores_rest:
                    return
                place += 1
                continue
            group = found.group
            end = place + 1 + len(found.values)
            if end > len(self.words):
                text = f"{self.command.name} {word}: {' '.join(found.values)} is missing"
                raise Failure(text, word.position())
            yield ParsedOption(found.flag, tuple(self.words[place + 1 : end]), word)
            place = end

    def specifications(self, context: Context) -> Iterator[tuple[Token, Context]]:
        """Yield the specifications among the words, each with its context.

        `context` is the command's own. Raises `Failure` for unknown words and for a wrong
        number of words.
        """
        command = self.command
        if not command.options and not command.label:
            words = self.plain()
            if command.spec:
                yield words[-1], command.spec.within(context)
            return
        contexts = {option.flag: option.spec for option in command.options} | {"": command.spec}
        for given in self.walk():
            inner = contexts[given.flag]
            if inner:
                yield given.values[-1], inner.within(context)

    def _option(self, word: str, group: int) -> CommandOption | None:
        for known in self.command.options:
            if known.group >= group and (
                word == known.flag or (known.flag[-1] == "*" and word.startswith(known.flag[:-1]))
            ):
                return known
        return None

    def unknown(self, word: Token) -> Failure:
        """The failure for a word that the command does not know."""
        text = self.command.unknown or f"Unknown {self.command.name} argument: {{}}"
        return Failure(text.format(word), word.position(), (self.usage(),))

    def usage(self) -> Note:
        """How the command is used."""
        return Note("usage", f"{self.command.name} {self.command.usage}".rstrip())

    def plain(self) -> list[Token]:
        """The words of a command without options. Raises `Failure` if their number is wrong."""
        self.check_number(len(self.words), self.words[-1] if self.words else self.name)
        return self.words

    def check_number(self, number: int, last: Token) -> None:
        """Raise `Failure` unless the command takes `number` words."""
        command = self.command
        if number < command.words_min:
            text = f"{command.name}: {_count(command.words_min)} needed, {number} given"
            raise Failure(text, self.name.position(), (self.usage(),))
        if command.words_max is not None and number > command.words_max:
            text = f"{command.name}: takes {_count(command.words_max)}, {number} given"
            raise Failure(text, last.position(), (self.usage(),))


def _count(number: int) -> str:
    return "no argument" if number == 0 else f"{number} argument{'s' if number > 1 else ''}"
