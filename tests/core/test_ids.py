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


def test_a_sid_has_the_time_and_its_fraction_in_their_places(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """RFC 9562: 48 bits of milliseconds; then, by method 3, 12 bits of the fraction."""
    milliseconds = 0x1234_5678_9ABC
    monkeypatch.setattr("time.time_ns", lambda: milliseconds * 1_000_000 + 500_000)
    assert ids.new_sid().startswith("12345678-9abc-7800-")
    monkeypatch.setattr("time.time_ns", lambda: (1 << 48) * 1_000_000)
    assert ids.new_sid().startswith("00000000-0000-7000-"), "no more than 48 bits"


def test_a_sid_has_62_random_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secrets.randbits", lambda bits: (1 << bits) - 1)
    assert ids.new_sid().endswith("-bfff-ffffffffffff")
    monkeypatch.setattr("secrets.randbits", lambda _: 0)
    assert ids.new_sid().endswith("-8000-000000000000")


def test_a_sid_is_packed_into_16_bytes() -> None:
    sid = ids.new_sid()
    packed = ids.pack_sid(sid)
    assert packed == UUID(sid).bytes
    assert ids.unpack_sid(packed) == sid


@pytest.mark.parametrize(
    "odd", ["", "s1", "cafe", "0198-A", "01980A00-0000-7000-8000-000000000000", "0198" * 8]
)
def test_an_odd_sid_is_not_packed(odd: str) -> None:
    assert ids.pack_sid(odd) == odd
    assert ids.unpack_sid(odd) == odd


def test_an_epoch_and_an_instance_have_64_random_bits() -> None:
    for new in (ids.new_epoch, ids.new_instance):
        made = {new() for _ in range(100)}
        assert len(made) == 100
        assert all(len(name) == 16 and int(name, 16) >= 0 for name in made)


@pytest.mark.parametrize(
    ("code", "shown"),
    [("ABCD2345EFGH", "ABCD-2345-EFGH"), ("ABCD2345", "ABCD-2345"), ("ABCDE", "ABCD-E")],
)
def test_a_code_is_shown_in_groups(code: str, shown: str) -> None:
    assert ids.show_resume_code(code) == shown
