"""Writes the arguments of all commands into declarations.txt: `python -m
tests.cli.declarations`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from holdfast.cli.commands import LISTED, load

FILE: Final = Path(__file__).with_suffix(".txt")


def declarations() -> str:
    """A line for each command and one for each argument and option, which names its command."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    for name in LISTED:
        command = load(name)
        yield name
        yield from (f"{name}: {_parameter(parameter)}" for parameter in command.params)


def _parameter(parameter: Any) -> str:
    parts = [f"{parameter.param_type_name} {' '.join(parameter.opts)}", _type(parameter)]
    if parameter.secondary_opts:
        parts.append(f"or {' '.join(parameter.secondary_opts)}")
    if parameter.required:
        parts.append("required")
    elif parameter.name != "help":
        parts.append(f"default {_default(parameter)}")
    if parameter.multiple or parameter.nargs != 1:
        parts.append("several")
    if parameter.envvar:
        parts.append(f"variable {parameter.envvar}")
    return " | ".join(parts)


def _default(parameter: Any) -> str:
    if parameter.name == "jobs":
        assert parameter.default == os.cpu_count()
        return "the number of CPUs"
    default = getattr(parameter.default, "value", parameter.default)
    return str(default) if isinstance(default, Path) else repr(default)


def _type(parameter: Any) -> str:
    kind = parameter.type
    bounds = [str(getattr(kind, side, None)) for side in ("min", "max")]
    choices = " ".join(getattr(kind, "choices", ()))
    return f"{kind.name} {choices or ('-'.join(bounds) if bounds != ['None'] * 2 else '')}".strip()


if __name__ == "__main__":
    FILE.write_text(declarations())
