"""A mutant that no test notices survives; the copy of the project is as before afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest

MODULE = "def half(number: int) -> int:\n    return number // 2\n"
TEST = "from holdfast.it import half\n\n\ndef test_half() -> None:\n    assert half({}) == {}\n"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A project with one module and no tests yet."""
    for folder in ("src/holdfast", "tests"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "src/holdfast/__init__.py").touch()
    (tmp_path / "src/holdfast/it.py").write_text(MODULE)
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\naddopts = -p no:holdfast-vtc -p no:hypothesispytest\n"
    )
    return tmp_path


@pytest.mark.parametrize(
    ("number", "half", "verdict"),
    [(5, 2, "killed"), (0, 0, "survived"), (5, 3, "survived")],
    ids=["noticed", "not-noticed", "fails-anyway"],
)
def test_what_becomes_of_a_mutant(copy: Path, number: int, half: int, verdict: str) -> None:
    from tests.mutants.make import Mutant
    from tests.mutants.run import run_one

    (copy / "tests/test_it.py").write_text(TEST.format(number, half))
    changed = MODULE.replace("//", "%")
    mutant = Mutant(Path("src/holdfast/it.py"), 2, "", "", changed)
    outcome = run_one(copy, mutant)
    assert outcome.verdict.value == verdict
    assert outcome.by == {
        2: "tests/test_it.py::test_half",
        3: "without tests/test_it.py::test_half",
    }.get(half, "")
    assert (copy / "src/holdfast/it.py").read_text() == MODULE


def test_a_test_that_fails_anyway_hides_no_other(copy: Path) -> None:
    from tests.mutants.make import Mutant
    from tests.mutants.run import run_one

    (copy / "tests/test_it.py").write_text(
        TEST.format(5, 3) + "\n\ndef test_other() -> None:\n    assert half(5) == 2\n"
    )
    mutant = Mutant(Path("src/holdfast/it.py"), 2, "", "", MODULE.replace("//", "/"))
    outcome = run_one(copy, mutant)
    assert (outcome.verdict.value, outcome.by) == ("killed", "tests/test_it.py::test_other")


def test_a_change_that_the_type_checker_refuses_is_neither_killed_nor_a_survivor(
    copy: Path,
) -> None:
    from tests.mutants.make import Mutant
    from tests.mutants.run import run_one

    (copy / "tests/test_it.py").write_text("def test_nothing() -> None:\n    pass\n")
    mutant = Mutant(Path("src/holdfast/it.py"), 2, "", "", MODULE.replace("number // 2", "None"))
    assert run_one(copy, mutant).verdict.value == "refused"
