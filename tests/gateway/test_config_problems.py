"""All that is wrong with a configuration, fault by fault."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from holdfast.core.errors import ConfigurationError
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


LISTENER = '[[listener]]\nurl = "tcp://127.0.0.1:0"\nbackend = "echo"\ndurability = "memory"\n'
FAULTS: dict[str, tuple[str, list[str]]] = {
    "none": (LISTENER, []),
    "unknown": (
        f"{LISTENER}durabilty = 'fast'\n",
        ["listener[0].durabilty: not a known key; did you mean 'durability'?"],
    ),
    "unknown-and-like-none": (f"{LISTENER}xyzzy = 1\n", ["listener[0].xyzzy: not a known key"]),
    "unknown-in-a-table-of-a-backend": (
        f"{LISTENER.replace('echo', 'ssh')}ssh = {{ allow_host = ['localhost'] }}\n",
        ["listener[0].ssh.allow_host: not a known key; did you mean 'allow_hosts'?"],
    ),
    "unknown-in-an-array-of-a-backend": (
        LISTENER.replace("echo", "ssh")
        + "[[listener.ssh.target]]\nname = 'a'\nhost = 'b'\nprt = 1\n",
        ["listener[0].ssh.target[0].prt: not a known key; did you mean 'port'?"],
    ),
    "unknown-in-no-table": (
        f"nod = 'a'\n{LISTENER}",
        ["nod: not a known key; did you mean 'node'?"],
    ),
    "missing": (
        "[[listener]]\nbackend = 'echo'\ndurability = 'memory'\n",
        ["listener[0].url: expected a value, found none"],
    ),
    "of-another-type": (
        f"{LISTENER}[store]\npath = 7\n",
        ["store.path: expected a string, found the integer 7"],
    ),
    "an-address": (
        f"{LISTENER}{LISTENER.replace(':0', ':99999')}",
        [
            "listener[1].url: 'tcp://127.0.0.1:99999':"
            " expected a port from 0 to 65535 after the host"
        ],
    ),
    "no-backend": (
        LISTENER.replace("echo", "eco"),
        [
            "listener[0].backend: expected 'echo', 'http', 'link', 'pty', 'ssh', 'stream' or"
            " 'tcp', found 'eco'"
        ],
    ),
    "a-key-of-another-backend": (
        f"{LISTENER}app = 'chat'\n",
        ["listener[0].app: expected only for the backends 'http' and 'link', found it for 'echo'"],
    ),
    "what-a-step-finds": (
        LISTENER.replace("memory", "fast"),
        ["store.path: expected a path, because durability of [[listener]] 1 is 'fast'; found none"],
    ),
    "several": (
        f"nod = 'a'\n{LISTENER}durabilty = 'fast'\n[store]\npath = 7\nbusy = 1\n",
        [
            "nod: not a known key; did you mean 'node'?",
            "listener[0].durabilty: not a known key; did you mean 'durability'?",
            "store.path: expected a string, found the integer 7",
            "store.busy: not a known key",
        ],
    ),
}


@pytest.mark.parametrize(("text", "problems"), FAULTS.values(), ids=FAULTS)
def test_each_fault_is_told_once_under_its_key(text: str, problems: list[str]) -> None:
    found, config = problems_of(text, lambda config: ())
    assert found == problems
    assert config is not None


def test_what_is_no_toml_is_told_alone() -> None:
    (problem,), config = problems_of("[[listener", lambda config: ())
    assert problem.startswith("not TOML: ")
    assert config is None


def test_what_further_steps_find_is_told_unless_the_table_is_spoilt() -> None:
    def failing(key: str) -> Callable[[], None]:
        def step() -> None:
            raise ConfigurationError(f"{key}: expected something else")

        return step

    steps = [failing("store.path"), failing("listener[0].url"), failing("store.path")]
    found, _ = problems_of(f"{LISTENER}xyzzy = 1\n", lambda config: steps)
    assert found == ["listener[0].xyzzy: not a known key", "store.path: expected something else"]


@pytest.mark.parametrize(("count", "usable"), [(99, True), (100, False)])
def test_so_many_faults_are_told(count: int, usable: bool) -> None:
    found, config = problems_of(
        LISTENER + "".join(f"xyzzy{number} = 1\n" for number in range(count)), lambda config: ()
    )
    assert len(found) == count
    assert (config is not None) is usable
