"""The manual, and that what it shows is true."""

import re
from pathlib import Path

import pytest
from tests.programs import need
from tests.vtc.running import run_script

from holdfast.vtc.language.check import check
from holdfast.vtc.language.command import Command
from holdfast.vtc.language.context import Context
from holdfast.vtc.language.manual import manual
from holdfast.vtc.language.registry import commands, find
from holdfast.vtc.language.script import parse_script
from holdfast.vtc.run.results import Outcome

CONTEXTS = [context for context in Context if context is not Context.SAME]
ALL = [(context, command) for context in CONTEXTS for command in commands(context)]
EXAMPLES = {re.findall(r'"([^"]*)"', command.example)[0]: command.example for _, command in ALL}


def ident(entry: tuple[Context, Command]) -> str:
    return f"{entry[0].value}-{entry[1].name}"


@pytest.mark.parametrize("entry", ALL, ids=ident)
def test_each_command_says_what_it_does_and_shows_it(entry: tuple[Context, Command]) -> None:
    context, command = entry
    assert command.text.endswith(".")
    assert re.search(rf"(?m)^\s*{command.name}\b", command.example), "the example does not use it"
    assert find(context, command.name) is command
    assert all(option.text for option in command.options)


@pytest.mark.parametrize("entry", ALL, ids=ident)
def test_each_command_is_in_the_manual(entry: tuple[Context, Command]) -> None:
    _, command = entry
    text = manual()
    assert f"### {command.name}\n" in text
    assert command.text in text
    assert command.example.strip() in text


@pytest.mark.parametrize("title", EXAMPLES)
def test_the_examples_have_no_problems(title: str) -> None:
    assert check(parse_script("f", EXAMPLES[title].lstrip())) == []


@pytest.mark.parametrize("title", EXAMPLES)
def test_the_examples_pass(title: str) -> None:
    if "haproxy h1" in EXAMPLES[title]:
        need("haproxy")
    result = run_script(EXAMPLES[title])
    assert result.outcome is Outcome.PASSED, result.text()


def test_the_macros_of_a_server_exist_until_the_end_of_the_test() -> None:
    """They outlive `-wait`, and a later start listens at the same address."""
    visit = "client c1 -connect ${s1_addr}:${s1_port} {\n  txreq\n  rxresp\n} -run\n"
    result = run_script(
        'vtest "macros of a server"\n'
        "server s1 {\n  rxreq\n  txresp\n} -start\n"
        + visit
        + 'server s1 -wait\nshell {test -n "${s1_sock}"}\nserver s1 -start\n'
        + visit
        + "server s1 -wait\n"
    )
    assert result.outcome is Outcome.PASSED, result.text()
    assert "`-wait` and `-stop` do not remove them" in manual()


def test_a_name_that_is_no_command_is_not_found() -> None:
    assert find(Context.TOP, "nonsense") is None
    assert find(Context.TOP, "__init__") is None
    assert find(Context.TOP, "rxreq") is None
    assert find(Context.TUNNEL, "barrier") is not None


def test_the_readme_shows_a_script_that_is_run() -> None:
    root = Path(__file__).parents[3]
    shown = (root / "examples" / "parrot.vtc").read_text()
    assert f"```\n{shown}```\n" in (root / "README.md").read_text()
