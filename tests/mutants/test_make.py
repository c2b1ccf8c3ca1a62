"""What is mutated, that a seed draws the same sample again, and which tests meet a mutant."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = '''"""A module."""
__all__ = ["fits"]


def fits(size: int, most: int) -> bool:
    """Whether it fits."""
    _log.debug("seen", size=size)
    return 0 < size <= most and not size % 2


class Row(Struct, frozen=True):
    """A row."""
'''


def test_what_is_mutated() -> None:
    from tests.mutants.make import Module

    module = Module(Path("it.py"), SOURCE)
    found = {
        (mutant.line, mutant.after)
        for mutant in map(module.mutant, range(len(module)))
        if mutant is not None
    }
    assert {line for line, _ in found} == {8}, "no names for import *, annotations or log lines"
    assert {after.removeprefix("return ") for _, after in found} == {
        "0 <= size <= most and not size % 2",
        "0 < size < most and not size % 2",
        "0 < size <= most or not size % 2",
        "0 < size <= most and size % 2",
        "0 < size <= most and not size / 2",
        "1 < size <= most and not size % 2",
        "0 < size <= most and not size % 3",
    }


def test_a_seed_draws_the_same_again(tmp_path: Path) -> None:
    from tests.mutants.make import SOURCE as FOLDER
    from tests.mutants.make import sample

    (tmp_path / FOLDER / "part").mkdir(parents=True)
    (tmp_path / FOLDER / "part" / "it.py").write_text(SOURCE)
    drawn = sample(tmp_path, 3, seed=1)
    assert len({mutant.text for mutant in drawn}) == 3
    assert drawn == sample(tmp_path, 3, seed=1)
    assert drawn != sample(tmp_path, 3, seed=2)
    assert len(sample(tmp_path, 100, seed=1)) == 7, "no more than there are"
    (tmp_path / FOLDER / "other.py").write_text(SOURCE.replace("most", "limit") * 3)
    more = sample(tmp_path, 20, seed=1)
    assert {mutant.path.name for mutant in more} == {"it.py", "other.py"}
    (tmp_path / FOLDER / "part" / "it.py").write_text(SOURCE.replace("2", "4"))
    others = {mutant.text for mutant in sample(tmp_path, 20, seed=1)}
    kept = [mutant for mutant in more if mutant.path.name == "other.py"]
    assert sum(mutant.text in others for mutant in kept) > len(kept) / 2, "most of them again"


def test_the_tests_of_its_name_meet_it_first_and_then_those_of_its_folder() -> None:
    from tests.mutants.make import SOURCE as FOLDER
    from tests.mutants.make import mirrored

    own, rest = mirrored(ROOT, FOLDER / "sessions" / "manager.py")
    assert "tests/sessions/test_manager.py" in own
    assert rest
    assert all(Path(test).parent == Path("tests/sessions") for test in own + rest)
    *_, above = mirrored(ROOT, FOLDER / "vtc" / "io" / "tls.py")
    assert "tests/vtc/test_program.py" in above
    assert mirrored(ROOT, FOLDER / "nowhere" / "it.py")[0][0].startswith("tests/test_")


def test_tests_that_mirror_a_module_in_another_place_meet_it_too() -> None:
    from tests.mutants.make import _ALSO, mirrored
    from tests.mutants.make import SOURCE as FOLDER

    own, also, *_ = mirrored(ROOT, FOLDER / "core" / "limits" / "sessions.py")
    assert (own, also) == (["tests/core/limits/test_limits.py"], ["tests/docs/test_limits.py"])
    groups = mirrored(ROOT, FOLDER / "vtc" / "commands" / "http" / "body.py")
    assert "tests/vtc/http/test_cases.py" in groups[0]
    assert "tests/vtc/commands/test_cases.py" in groups[1]
    for place, names in _ALSO.items():
        assert (ROOT / FOLDER / place).is_dir() or (ROOT / FOLDER / f"{place}.py").is_file(), place
        assert all((ROOT / "tests" / name).exists() for name in names), place


def test_each_equivalent_mutant_is_of_a_line_that_is_there() -> None:
    from tests.mutants.equivalent import LINES, is_equivalent
    from tests.mutants.make import SOURCE as FOLDER

    assert is_equivalent("it.py", "_log.debug('seen')", "_log.debug(None)")
    assert is_equivalent("it.py", "OPEN = auto()", "OPEN = None")
    assert is_equivalent("it.py", "class A(Struct, gc=False):", "class A(Struct, gc=True):")
    assert is_equivalent("it.py", 'head = n.to_bytes(4, "big")', "head = n.to_bytes(4, )")
    assert not is_equivalent("it.py", 'n.to_bytes(4, "little")', "n.to_bytes(4, )")
    assert not is_equivalent("it.py", "size = 2", "size = 3")
    for (module, before, after), reason in LINES.items():
        lines = [line.strip() for line in (ROOT / FOLDER / module).read_text().splitlines()]
        assert before in lines, module
        assert reason, after
