import pytest
from _pytest.mark import ParameterSet
from tests.programs import need
from tests.vtc import (
    cases_h2,
    cases_haproxy,
    cases_http,
    cases_others,
    cases_talk,
    cases_tls,
    cases_top,
)
from tests.vtc.cases import Case
from tests.vtc.running import run_script

from holdfast.vtc.run.results import Outcome

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
    "websockets": cases_talk.WEBSOCKETS,
    "lines": cases_talk.LINES,
    "telnet": cases_talk.TELNET,
    "sessions": cases_talk.SESSIONS,
    "gateways": cases_talk.GATEWAYS,
}


def parameters(groups: dict[str, list[Case]]) -> list[ParameterSet]:
    return [
        pytest.param(case, id=f"{group}: {case.title}")
        for group, cases in groups.items()
        for case in cases
    ]


@pytest.mark.parametrize("case", parameters(GROUPS))
def test_a_script_ends_as_it_should(case: Case) -> None:
    assert_ends_as_it_should(case)


@pytest.mark.parametrize("case", parameters(cases_haproxy.GROUPS))
def test_a_script_with_a_haproxy_ends_as_it_should(case: Case) -> None:
    need("haproxy")
    assert_ends_as_it_should(case)


@pytest.mark.parametrize("case", parameters({"tls": cases_tls.TLS}))
def test_a_script_with_tls_ends_as_it_should(case: Case) -> None:
    need("openssl")
    assert_ends_as_it_should(case)


def assert_ends_as_it_should(case: Case) -> None:
    result = run_script(case.script)
    assert result.outcome is case.outcome, result.text()
    assert case.reason in result.reason
    if case.outcome is Outcome.FAILED:
        assert result.failure is not None
        position = result.failure.position
        assert position is not None, result.text()
        assert case.where in ("", f"{position.line}:{position.column}")
