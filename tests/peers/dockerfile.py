"""A Dockerfile as its stages and their steps."""

from __future__ import annotations

import json
import re
import shlex
from typing import Final, NamedTuple

_CONTINUED: Final = re.compile(r"\\\n\s*")
_VARIABLE: Final = re.compile(r"\$\{(\w+)\}")


class Step(NamedTuple):
    """One instruction, with its continuation lines joined."""

    instruction: str
    argument: str

    @property
    def words(self) -> list[str]:
        """The argument as a list: in JSON, or separated by blanks."""
        if self.argument.startswith("["):
            found: list[str] = json.loads(self.argument)
            return found
        return shlex.split(self.argument)


class Stage(NamedTuple):
    """One `FROM` and what follows it."""

    base: str
    name: str
    steps: list[Step]

    def last(self, instruction: str) -> Step:
        """The newest step of this kind, which is the one that holds."""
        return [step for step in self.steps if step.instruction == instruction][-1]


def stages(text: str) -> list[Stage]:
    """The stages of a Dockerfile; arguments before the first `FROM` are filled in."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    joined = _CONTINUED.sub(" ", "\n".join(lines))
    arguments: dict[str, str] = {}
    found: list[Stage] = []
    for line in filter(None, map(str.strip, joined.splitlines())):
        instruction, _, argument = line.partition(" ")
        if instruction == "FROM":
            base, _, name = expanded(argument, arguments).partition(" AS ")
            found.append(Stage(base, name, []))
        elif not found:
            name, _, value = argument.partition("=")
            arguments[name] = value
        else:
            found[-1].steps.append(Step(instruction, argument))
    return found


def expanded(text: str, variables: dict[str, str]) -> str:
    """`text` with `${NAME}` replaced."""
    return _VARIABLE.sub(lambda match: variables[match[1]], text)
