"""The page, the schema and the example of the configuration."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from holdfast.core.errors import ConfigurationError
from holdfast.gateway.config import Config, parse
from holdfast.gateway.config_reference import example, json_schema, markdown

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads(json_schema())
LISTENER = '[[listener]]\nurl = "tcp://127.0.0.1:1"\nbackend = "echo"\ndurability = "memory"\n'


def test_the_page_has_a_section_for_each_table_once() -> None:
    headings = re.findall(r"(?m)^## (.*)$", markdown())
    assert headings[:2] == ["Top level", "[[listener]]"]
    assert "[listener.certificate]" in headings
    assert len(headings) == len(set(headings))
    assert "[[listener.ssh.target]]" in headings
    assert "[limits.session]" in headings


@pytest.mark.parametrize(
    "row",
    [
        "| `url` | string | required | The protocol and the address:",
        '| `durability` | `"durable"`, `"fast"` or `"memory"` | `"fast"` |',
        "| `write_buffer_bytes_max` | integer | `65536` (64 KiB) |",
        "| `message_bytes_max` | integer | `1048576` (1 MiB) |",
        "| `drain_seconds_max` | number | `10.0` |",
        '| `app` | string | `"*"` | The name of the application; with the backend `link`, `*`',
    ],
)
def test_a_row_says_the_type_the_default_and_the_meaning(row: str) -> None:
    assert f"\n{row}" in markdown()


def test_the_schema_is_a_valid_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def _configurations() -> list[str]:
    """Every configuration in the documents and the examples that the program accepts."""
    texts = [path.read_text() for path in (ROOT / "examples").rglob("*.toml")]
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    for page in pages:
        texts += re.findall(r"(?s)```toml\n(.*?)```", page.read_text())
    return [text for text in [*texts, LISTENER, example()] if _is_accepted(text)]


def _is_accepted(text: str) -> bool:
    try:
        parse(text)
    except ConfigurationError:
        return False
    return True


def test_the_schema_accepts_what_the_program_accepts() -> None:
    texts = _configurations()
    assert len(texts) >= 3
    for text in texts:
        jsonschema.validate(tomllib.loads(text), SCHEMA)


@pytest.mark.parametrize(
    "text",
    [
        "",
        LISTENER + "colour = 'red'\n",
        LISTENER.replace("memory", "always"),
        LISTENER.replace("echo", "fax"),
        LISTENER.replace('"memory"', "1"),
        LISTENER + "[limits.drain]\ndrain_seconds_max = 'long'\n",
        LISTENER + "[limits.nothing]\n",
        LISTENER + "[listener.proxy]\n",
    ],
)
def test_the_schema_refuses_what_the_types_refuse(text: str) -> None:
    with pytest.raises(ConfigurationError):
        parse(text)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(tomllib.loads(text), SCHEMA)


def test_the_example_is_a_configuration_that_runs() -> None:
    config = parse(example())
    assert isinstance(config, Config)
    assert [listener.url for listener in config.listener] == ["telnet://127.0.0.1:4000"]


def test_every_line_of_the_example_is_short_and_every_default_in_it_is_toml() -> None:
    lines = example().splitlines()
    assert max(map(len, lines)) <= 100
    values: dict[str, Any] = {}
    for line in lines:
        if re.match(r"# [a-z_0-9]+ = ", line):
            values |= tomllib.loads(line.removeprefix("# "))
    assert values["durability"] == "fast"
    assert values["sessions_max"] == 100_000
    assert len(values) > 150


def test_what_the_example_says_of_limits_are_their_defaults() -> None:
    """Taken out of comments, they change nothing."""
    _, _, limits = example().partition("# [limits.connection]")
    limits = re.sub(r"(?m)^# (?=\[limits\.|[a-z_0-9]+ = )", "", "# [limits.connection]" + limits)
    assert "\nsessions_max = 100000\n" in limits
    assert parse(LISTENER + limits).limits == Config(listener=()).limits
