"""All that is wrong with a configuration, fault by fault."""

from __future__ import annotations

from holdfast.gateway.config_problems import problems_of

_TEXT = """
[[listener]]
url = "tcp://127.0.0.1:0"
backend = "echo"
durability = "memory"
[limits.session]
window_bytes_max = "large"
queue_messages_max = 7.5
command_burst_max = 9
"""


def test_each_wrong_value_of_a_table_is_found_and_the_rest_is_taken() -> None:
    problems, config = problems_of(_TEXT, lambda config: ())
    assert len(problems) == 2
    assert config is not None
    assert config.limits.session.command_burst_max == 9
    for name in ("window_bytes_max", "queue_messages_max"):
        assert any(name in problem for problem in problems)
