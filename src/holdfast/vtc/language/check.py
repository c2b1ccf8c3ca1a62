"""Checks a script without running it.

At run time the language is interpreted line by line, so an error in the last line appears only
after everything before it has run. The check reads all of it first: commands, options, numbers
of words, macros, braces, patterns.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from itertools import pairwise
from typing import NamedTuple

from holdfast.vtc.language.command import Args, Command
from holdfast.vtc.language.context import Context
from holdfast.vtc.language.errors import Failure
from holdfast.vtc.language.lexer import BAD_ESCAPE, cut
from holdfast.vtc.language.macros import MacroError, Macros, split_arguments
from holdfast.vtc.language.position import Position
from holdfast.vtc.language.registry import find
from holdfast.vtc.language.script import Script
from holdfast.vtc.language.source import Token

_REFERENCE = re.compile(r"\$\{((?:(?!\$\{)[^}])*)\}")
"""A reference without others in it. The name of one with others is known only when it runs."""
_ALWAYS_DEFINED = (
    *Macros().names(),
    "pwd",
    "localhost",
    "bad_backend",
    "listen_addr",
    "bad_ip",
    "testdir",
    "tmpdir",
    "vtcid",
)
_SPECIAL_INSTANCES = ("v1_",)
"""The instance that clients connect to by default."""


class Problem(NamedTuple):
    """Something in a script that cannot be right."""

    position: Position
    text: str

    def __str__(self) -> str:
        line, caret = self.position.excerpt()
        return f"{self.position}: {self.text}\n    {line}\n    {caret}"


def check(script: Script, defined: Collection[str] = ()) -> list[Problem]:
    """The problems of a script, in its order. `defined` are macros from outside."""
    checker = _Checker()
    whole = script.source.whole()
    checker.read(whole, Context.TOP)
    problems = checker.problems
    if not checker.ignores_unknown_macros:
        problems += _unknown_macros(whole, {*_ALWAYS_DEFINED, *defined}, checker.exported)
    return sorted(problems, key=lambda problem: problem.position[1:3])


class _Checker:
    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.exported: set[str] = set()
        """The macros that instances define; a final `*` stands for any rest."""
        self.ignores_unknown_macros = False
        """Also if macros may come from where we do not look."""
        self._skipped = False
        """The following commands never run."""

    def read(self, spec: Token, context: Context) -> None:
        """Read the commands of a specification."""
        for command in cut(spec).commands:
            if self._skipped:
                return
            for position in command.cut_at:
                self.problems.append(Problem(position, BAD_ESCAPE))
            if command.failure is not None:
                self._add(command.failure, command.position)
            elif command.words:
                self._command(command.words, context)

    def _add(self, failure: Failure, position: Position) -> None:
        self.problems.append(Problem(failure.position or position, str(failure)))

    def _command(self, words: list[Token], context: Context) -> None:
        name = words[0]
        if "${" in name:
            return
        command = find(context, name)
        if command is None:
            text = f'Unknown command: "{name}"'
            self.problems.append(Problem(name.position(), text))
            return
        args = Args(command, name, words[1:])
        try:
            self._arguments(args, context)
        except Failure as failure:
            self._add(failure, name.position())

    def _arguments(self, args: Args, context: Context) -> None:
        command = args.command
        if command.label:
            self._instance(command, args.instance())
        if command.name == "feature":
            self._feature(args.words)
        if command.name == "include":
            self.ignores_unknown_macros = True
        if command.name == "save" and args.words:
            self.exported.add(args.words[0])
        for spec, inner in args.specifications(context):
            self.read(spec, inner)
        if command.check:
            command.check(args)

    def _feature(self, words: list[Token]) -> None:
        if "ignore_unknown_macro" in words:
            self.ignores_unknown_macros = True
        for word, name in pairwise(words):
            if word == "vtest_cmd" and find(Context.TOP, name) is None:
                self._skipped = True

    def _instance(self, command: Command, name: Token) -> None:
        self.exported.update(f"{name}_{macro}" for macro in command.exports)


def _unknown_macros(whole: Token, names: set[str], exported: set[str]) -> Iterator[Problem]:
    starts = (*_SPECIAL_INSTANCES, *(name[:-1] for name in exported if name.endswith("*")))
    for match in _REFERENCE.finditer(whole):
        line = whole.position(match.start()).text.lstrip()
        if line.startswith("#"):
            continue
        try:
            name = split_arguments(match[1])[0]
        except MacroError as error:
            text = f"Macro {match[0]} failed: {error}"
            yield Problem(whole.position(match.start()), text)
            continue
        if name not in names and name not in exported and not name.startswith(starts):
            yield Problem(whole.position(match.start()), f"Macro {match[0]} not found")
