"""Commands that are completed: the program's, typed ones and those that were named."""

from __future__ import annotations

from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from holdfast.cli.terminal.completion import Commands


def found(commands: Commands, typed: str) -> list[str]:
    return [one.text for one in commands.get_completions(Document(typed), CompleteEvent())]


def test_a_command_is_completed() -> None:
    commands = Commands(("/quit", "/exit"))
    commands.learn("/join ROOM, /who, /tell NAME WORDS (to one person only), /history, /quit")
    assert found(commands, "/") == ["/exit", "/history", "/join", "/quit", "/tell", "/who"]
    assert found(commands, "/h") == ["/history"]
    for typed in ("", "w", "/x", "/tell A", "say /w"):
        assert found(commands, typed) == [], typed


def test_paths_and_addresses_are_no_commands() -> None:
    commands = Commands(())
    commands.learn("/etc/passwd http://host/page a/b either/or /a.b /1 //x ./dev -/x")
    assert found(commands, "/") == []


def test_what_is_known_is_bounded() -> None:
    commands = Commands(("/quit",))
    for number in range(300):
        commands.learn(f"/x{number}")
    commands.learn("/y " + "x" * 10_000)
    names = found(commands, "/")
    assert len(names) == 201
    assert {"/quit", "/x299", "/x100"} <= {*names}
    assert not {"/x99", "/y"} & {*names}
