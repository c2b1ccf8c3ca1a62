"""How a command ends when it cannot go on."""

from __future__ import annotations

import pytest
import typer

from holdfast.cli.output import reported, stop
from holdfast.core.errors import BusyError, ConfigurationError, HoldfastError


@pytest.mark.parametrize(
    ("error", "code"),
    [(ConfigurationError("no"), 2), (HoldfastError("no"), 1), (BusyError("no"), 1)],
    ids=lambda value: type(value).__name__,
)
def test_an_expected_error_is_one_line_and_a_code(
    capsys: pytest.CaptureFixture[str], error: HoldfastError, code: int
) -> None:
    with pytest.raises(typer.Exit) as caught, reported():
        raise error
    assert caught.value.exit_code == code
    assert capsys.readouterr() == ("", "holdfast: no\n")


def test_a_defect_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError), reported():
        raise ZeroDivisionError


def test_a_stop_has_the_code_that_it_is_given(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as caught:
        stop("enough", 7)
    assert caught.value.exit_code == 7
    assert capsys.readouterr() == ("", "holdfast: enough\n")
