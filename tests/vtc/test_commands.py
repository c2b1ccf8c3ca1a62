import pytest
from tests.vtc import cases_h2, cases_http, cases_others, cases_top
from tests.vtc.cases import Case
from tests.vtc.running import run_script

from holdfast.vtc.results import Outcome

GROUPS = {
    "top": cases_top.TOP,
    "shell": cases_top.SHELL,
    "feature": cases_top.FEATURE,
    "names": cases_top.NAMES,
    "barriers": cases_top.BARRIERS,
    "connections": cases_http.CONNECTIONS,
    "proxy": cases_http.PROXY,
    "messages": cases_http.MESSAGES,
    "streams": cases_h2.STREAMS,
    "syslog": cases_others.SYSLOG,
    "processes": cases_others.PROCESSES,
    "tunnels": cases_others.TUNNELS,
}

CASES = [
    pytest.param(case, id=f"{group}: {case.title}")
    for group, cases in GROUPS.items()
    for case in cases
]


@pytest.mark.parametrize("case", CASES)
def test_a_script_ends_as_it_should(case: Case) -> None:
    result = run_script(case.script)
    assert result.outcome is case.outcome, result.text()
    assert case.reason in result.reason
    if case.where:
        assert result.failure is not None
        position = result.failure.position
        assert position is not None
        assert f"{position.line}:{position.column}" == case.where
    if case.outcome is Outcome.FAILED:
        assert result.failure is not None
        assert result.failure.position is not None, result.text()
