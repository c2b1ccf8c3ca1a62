"""Items as JSON: there and back, and what is none."""

from __future__ import annotations

import msgspec
import pytest

from holdfast.core.items import (
    Binary,
    Command,
    Data,
    Formatted,
    Interrupt,
    Notice,
    Output,
    Prompt,
    Span,
    Text,
)
from holdfast.core.validation import UnsendableError
from holdfast.protocols.json_items import JsonOutput, read_output, write_command, write_output

OUTPUTS: list[tuple[str, Output]] = [
    ('"hi"', Text("hi")),
    ('{"text": ""}', Text("")),
    ('{"text": "red", "spans": [{"start": 0, "length": 3, "style": "red"}]}',
     Formatted("red", (Span(0, 3, "red"),))),
    ('{"package": "A.B", "data": {"x": [1, 1.50]}}', Data("A.B", '{"x": [1, 1.50]}')),
    ('{"prompt": "> "}', Prompt("> ")),
    ('{"notice": "soon"}', Notice("soon")),
    ('{"binary": "AP8="}', Binary(b"\x00\xff")),
    ('{"binary": ""}', Binary(b"")),
]  # fmt: skip


@pytest.mark.parametrize(("text", "item"), OUTPUTS)
def test_an_output_is_read_and_written(text: str, item: Output) -> None:
    assert read_output(msgspec.json.decode(text, type=JsonOutput | str)) == item
    written = msgspec.json.encode(write_output(item))
    assert read_output(msgspec.json.decode(written, type=JsonOutput)) == item


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{}", "expected one of text, data, prompt, notice or binary; found none"),
        ('{"text": "a", "notice": "b"}', "expected no notice beside text"),
        ('{"text": "a", "prompt": "b"}', "expected no prompt beside text"),
        ('{"text": "a", "package": "B"}', "expected no package beside text"),
        ('{"text": "a", "data": 1}', "expected no data beside text"),
        ('{"text": "a", "binary": "AA=="}', "expected no binary beside text"),
        ('{"prompt": "a", "binary": "AA=="}', "expected no binary beside prompt"),
        ('{"notice": "a", "spans": [{"start": 0, "length": 1, "style": "red"}]}',
         "expected no spans beside notice"),
        ('{"data": 1}', "expected package beside data, found none"),
        ('{"package": "A"}', "expected no package beside binary"),
        ('{"binary": "A"}', "binary: expected Base64; found 'A'"),
        ('{"binary": "AA=="}garbage', "trailing"),
    ],
)  # fmt: skip
def test_what_is_no_output_is_refused(text: str, fault: str) -> None:
    with pytest.raises((UnsendableError, msgspec.DecodeError), match=fault):
        read_output(msgspec.json.decode(text, type=JsonOutput))


COMMANDS: list[tuple[Command, str]] = [
    (Text("look"), '{"n":3,"type":"text","text":"look"}'),
    (Data("A", '{"x": 1}'), '{"n":3,"type":"data","package":"A","data":{"x": 1}}'),
    (Data("A", "no json"), '{"n":3,"type":"data","package":"A","data":"no json"}'),
    (Data("A", "1e999"), '{"n":3,"type":"data","package":"A","data":1e999}'),
    (Data("A", ""), '{"n":3,"type":"data","package":"A","data":""}'),
    (Binary(b"\x00"), '{"n":3,"type":"binary","binary":"AA=="}'),
    (Interrupt(), '{"n":3,"type":"interrupt"}'),
]


@pytest.mark.parametrize(("item", "text"), COMMANDS)
def test_a_command_is_written(item: Command, text: str) -> None:
    assert msgspec.json.encode(write_command(3, item)).decode() == text
