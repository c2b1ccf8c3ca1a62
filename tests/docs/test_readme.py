"""The code of the README is that of the examples, and its commands exist."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.docs.pages import ROOT, blocks, prose

from holdfast.gateway.config import load

README = ROOT / "README.md"
TEXT = README.read_text()
EXAMPLES = ROOT / "examples"


def test_the_application_is_the_example() -> None:
    example = ast.parse((EXAMPLES / "parrot.py").read_text()).body
    shown = ast.parse(blocks(README, "python")[0]).body
    # The example has a docstring, and runs only as a program.
    assert [*map(ast.dump, shown[:-1])] == [*map(ast.dump, example[1:-1])]


def test_the_script_is_the_example() -> None:
    assert (EXAMPLES / "parrot.vtc").read_text() in blocks(README, "")


@pytest.mark.parametrize("number", range(len(blocks(README, "python"))))
def test_python_compiles(number: int) -> None:
    code = blocks(README, "python")[number]
    compile(code, "README.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.parametrize("number", range(len(blocks(README, "toml"))))
def test_a_configuration_loads(number: int, tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text(blocks(README, "toml")[number])
    assert load(path).listener


def test_every_command_exists() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "holdfast", "--help"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    code = " ".join([*re.findall(r"`([^`]+)`", prose(README)), *blocks(README, "sh")])
    named = set(re.findall(r"\bholdfast ([a-z]+)", code))
    assert named >= {"run", "connect", "vtc", "record", "sessions", "kick", "drain"}
    assert [name for name in named if not re.search(rf"\b{name}\b", done.stdout)] == []


def test_every_verb_of_dev_exists() -> None:
    verbs = set(re.findall(r"\./dev ([a-z]+)", TEXT))
    script = (ROOT / "dev").read_text()
    assert verbs
    assert [
        verb for verb in verbs if not re.search(rf"^(?:\w+ \| )*{verb}[ )|]", script, re.M)
    ] == []
