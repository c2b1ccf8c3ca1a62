from __future__ import annotations

import math

import msgspec
import pytest

from holdfast.core.errors import ConfigurationError
from holdfast.core.limits import Limits, LineLimits

GROUPS = {info.name: info.type for info in msgspec.structs.fields(Limits)}
FIELDS = [
    pytest.param(kind, info, id=f"{group}.{info.name}")
    for group, kind in GROUPS.items()
    for info in msgspec.structs.fields(kind)
]


@pytest.mark.parametrize(("kind", "info"), FIELDS)
def test_every_limit_is_a_finite_number_above_0_with_max_in_its_name(
    kind: type[msgspec.Struct], info: msgspec.structs.FieldInfo
) -> None:
    assert info.name.endswith("_max")
    assert info.type in (int, float)
    assert info.default > 0
    for bad in (0, -1, math.nan, math.inf):
        with pytest.raises(ConfigurationError, match=rf"limits: {info.name}: .* above 0, found"):
            kind(**{info.name: bad})


def test_but_replaces_some_and_keeps_the_rest() -> None:
    limits = Limits()
    other = limits.but(session={"queue_messages_max": 8}, line={"line_bytes_max": 9})
    assert other.session.queue_messages_max == 8
    assert other.session.queue_bytes_max == limits.session.queue_bytes_max
    assert other.line == LineLimits(line_bytes_max=9)
    assert other.link is limits.link
    assert limits == Limits()


@pytest.mark.parametrize(
    ("groups", "error", "message"),
    [
        pytest.param({"sesion": {}}, TypeError, "sesion", id="unknown-group"),
        pytest.param({"line": {"lines_max": 3}}, TypeError, "lines_max", id="unknown-limit"),
        pytest.param(
            {"line": {"line_bytes_max": 0}}, ConfigurationError, "line_bytes_max", id="out-of-range"
        ),
    ],
)
def test_but_refuses_what_does_not_exist(
    groups: dict[str, dict[str, float]], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        Limits().but(**groups)


def test_a_configuration_names_only_limits_that_exist() -> None:
    assert msgspec.convert({"line": {"line_bytes_max": 9}}, type=Limits).line.line_bytes_max == 9
    unknown: list[dict[str, dict[str, int]]] = [{"line": {"lines_max": 9}}, {"lines": {}}]
    for data in unknown:
        with pytest.raises(msgspec.ValidationError, match="unknown field"):
            msgspec.convert(data, type=Limits)
