import pytest
from _pytest.mark import ParameterSet
from tests.programs import need
from tests.vtc.actors import cases as actor_cases
from tests.vtc.cases import Case
from tests.vtc.commands import cases as top_cases
from tests.vtc.dialogue import cases as dialogue_cases
from tests.vtc.h2 import cases as h2_cases
from tests.vtc.haproxy import cases as haproxy_cases
from tests.vtc.http import cases as http_cases
from tests.vtc.io import cases as tls_cases
from tests.vtc.running import run_script

from holdfast.vtc.run.results import Outcome

GROUPS = {
    "top": top_cases.TOP,
    "shell": top_cases.SHELL,
    "feature": top_cases.FEATURE,
    "names": top_cases.NAMES,
    "barriers": top_cases.BARRIERS,
    "connections": http_cases.CONNECTIONS,
    "proxy": http_cases.PROXY,
    "messages": http_cases.MESSAGES,
    "streams": h2_cases.STREAMS,
    "syslog": actor_cases.SYSLOG,
    "processes": actor_cases.PROCESSES,
    "tunnels": actor_cases.TUNNELS,
    "websockets": dialogue_cases.WEBSOCKETS,
    "lines": dialogue_cases.LINES,
    "telnet": dialogue_cases.TELNET,
    "sessions": dialogue_cases.SESSIONS,
    "gateways": dialogue_cases.GATEWAYS,
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


@pytest.mark.parametrize("case", parameters(haproxy_cases.GROUPS))
def test_a_script_with_a_haproxy_ends_as_it_should(case: Case) -> None:
    need("haproxy")
    assert_ends_as_it_should(case)


@pytest.mark.parametrize("case", parameters({"tls": tls_cases.TLS}))
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
