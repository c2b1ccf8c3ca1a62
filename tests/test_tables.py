"""Every transition table of the project has a test that goes through all its cells."""

from __future__ import annotations

from enum import Enum
from importlib import import_module
from itertools import product
from pkgutil import walk_packages
from types import ModuleType
from typing import Any, Final

import pytest

import holdfast
from holdfast.backends.tcp import states as bridge
from holdfast.backends.terminal import states as terminal
from holdfast.core.states import Table
from holdfast.gateway.conversation import phases
from holdfast.net.server import lifecycle as server_states
from holdfast.net.upstream import circuit_breaker as breaker
from holdfast.net.upstream import tunnel as stream
from holdfast.protocols.telnet import negotiation, parser, start_tls
from holdfast.protocols.telnet.options import linemode, special_characters, ttype
from holdfast.protocols.websocket import states as websocket
from holdfast.sessions import states
from tests.backends.tcp import test_states as test_bridge
from tests.backends.terminal import test_states as test_terminal
from tests.gateway.conversation import test_phases
from tests.net.server import test_server
from tests.net.upstream import test_circuit_breaker as test_breaker
from tests.net.upstream import test_tunnel as test_stream
from tests.protocols.telnet import test_negotiation, test_parser, test_start_tls
from tests.protocols.telnet.options import test_linemode, test_special_characters, test_ttype
from tests.protocols.websocket import test_states as test_websocket_states
from tests.sessions import test_states as test_session_states

AnyTable = Table[Any, Any, Any]

TESTS: Final[list[tuple[AnyTable, ModuleType]]] = [
    (phases.TABLE, test_phases),
    (server_states.TABLE, test_server),
    (bridge.TABLE, test_bridge),
    (terminal.TABLE, test_terminal),
    (breaker.TABLE, test_breaker),
    (stream.TABLE, test_stream),
    (negotiation.Q_METHOD, test_negotiation),
    (parser.PARSER, test_parser),
    (start_tls.UPGRADE, test_start_tls),
    (linemode.AGREEMENT, test_linemode),
    (special_characters.DECISIONS, test_special_characters),
    (ttype.CYCLE, test_ttype),
    (websocket.TABLE, test_websocket_states),
    (states.TABLE, test_session_states),
]


def test_every_table_has_its_test() -> None:
    found = {
        value: f"{module.name}.{name}"
        for module in walk_packages(holdfast.__path__, "holdfast.")
        if not module.name.endswith("__main__")  # which is a program, and would run
        for name, value in vars(import_module(module.name)).items()
        if isinstance(value, Table)
    }
    tested = [table for table, _ in TESTS]
    assert [name for table, name in found.items() if table not in tested] == []
    assert len(found) == len(tested)


@pytest.mark.parametrize(("table", "module"), TESTS, ids=[table.name for table, _ in TESTS])
def test_it_goes_through_all_cells(table: AnyTable, module: ModuleType) -> None:
    assert table in vars(module).values()
    states: type[Enum] = table.states
    inputs: type[Enum] = table.inputs
    walked = [
        list(mark.args[1])
        for test in vars(module).values()
        for mark in getattr(test, "pytestmark", ())
        if mark.name == "parametrize"
    ]
    assert list(product(states, inputs)) in walked
