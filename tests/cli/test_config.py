"""`holdfast config`."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from typer.testing import CliRunner

from holdfast.cli.main import app
from holdfast.gateway.config_reference import example, json_schema, markdown


@pytest.mark.parametrize(
    ("option", "write"),
    [("--reference", markdown), ("--schema", json_schema), ("--example", example)],
)
def test_what_is_asked_for_is_printed(option: str, write: Callable[[], str]) -> None:
    result = CliRunner().invoke(app, ["config", option])
    assert (result.exit_code, result.stdout) == (0, write())


@pytest.mark.parametrize("options", [[], ["--schema", "--example"]])
def test_one_option_is_expected(options: list[str]) -> None:
    result = CliRunner().invoke(app, ["config", *options])
    assert result.exit_code == 2
    assert result.stderr == "holdfast: expected one of --reference, --schema and --example\n"
