from uuid import UUID

import pytest

from holdfast.core import ids


def test_a_sid_is_a_uuid_of_version_7() -> None:
    sid = UUID(ids.new_sid())
    assert sid.version == 7
    assert sid.variant == "specified in RFC 4122"


def test_sids_made_together_are_distinct() -> None:
    assert len({ids.new_sid() for _ in range(1000)}) == 1000


def test_sids_sort_by_birth_to_a_quarter_of_a_microsecond(monkeypatch: pytest.MonkeyPatch) -> None:
    born = iter(range(1_790_000_000_999_000_000, 1_790_000_001_001_000_000, 250))
    monkeypatch.setattr("time.time_ns", lambda: next(born))
    made = [ids.new_sid() for _ in range(8000)]
    assert made == sorted(made)
    assert {UUID(sid).version for sid in made} == {7}


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("ABCD2345EFGH", "ABCD2345EFGH"),
        ("abcd2345efgh", "ABCD2345EFGH"),
        ("abcd-2345-efgh", "ABCD2345EFGH"),
        (" ab cd 23 45 ef gh ", "ABCD2345EFGH"),
        ("oil1-2345-oil1", "011123450111"),
        ("abcd-2345", "ABCD2345"),  # of an earlier version
        ("training", None),
        ("ABCD2345", None),
        ("ABCD-234", None),
        ("ABCD2345EFG", None),
        ("ABCD2345EFGHJ", None),
        ("ABCDU345EFGH", None),
        ("ABCD2345EFGé", None),
        ("", None),
    ],
)
def test_a_typed_code_is_read_as_it_was_meant(typed: str, code: str | None) -> None:
    assert ids.read_resume_code(typed) == code


def test_every_new_code_reads_back_as_itself() -> None:
    for _ in range(200):
        code = ids.new_resume_code()
        assert ids.read_resume_code(code.lower()) == code
        assert ids.read_resume_code(ids.show_resume_code(code)) == code
        assert len(code) * 5 >= 60  # bits
