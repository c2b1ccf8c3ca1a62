"""HAProxy: its options, its ends and its command lines."""

from __future__ import annotations

from tests.vtc.cases import fails, passes

CONFIG = """
    defaults
        mode http
        timeout connect 5s
        timeout client 5s
        timeout server 5s
    frontend front
        bind "fd@${front}"
        http-request return status 200 content-type text/plain string hello
"""
_USES = "feature ignore_unknown_macro\n"
_ASKS = """
client c1 -connect ${h1_front_sock} {
  txreq
  rxresp
  expect resp.body == hello
} -run
"""
_BAD = "global\n  nonsense\n"


def started(options: str = "") -> str:
    """A HAProxy that answers, with more options in front of `-start`."""
    return f"{_USES}haproxy h1 {options} -conf {{{CONFIG}}} -start\n"


def cli(*lines: str, kind: str = "-cli") -> str:
    spec = "".join(f"  {line}\n" for line in lines)
    return f"{_USES}haproxy h1 {kind} {{\n{spec}}}\n"


RUNS = [
    passes("in the foreground", started() + _ASKS),
    passes("until it is told to end", started() + _ASKS + "haproxy h1 -wait"),
    passes("in the background", started("-D") + _ASKS),
    passes("with a worker", started("-W") + _ASKS),
    passes("with a worker that tells that it is ready", started("-Ws") + _ASKS),
    passes(
        "with more arguments",
        started('-arg "-n 400"') + cli('send "show info"', 'expect ~ "Maxconn: 400"'),
    ),
    passes(
        "two of them", started() + _ASKS + started().replace("h1", "h2") + _ASKS.replace("h1", "h2")
    ),
    passes(
        "again",
        started() + _ASKS + "haproxy h1 -wait\nhaproxy h1 -start\n" + _ASKS,
    ),
    passes(
        "a backend for each server",
        "server s1 {\n  rxreq\n  txresp -body hello\n} -start\n"
        + _USES
        + "haproxy h1 -conf+backend {\n  defaults\n    mode http\n    timeout connect 5s\n"
        "    timeout client 5s\n    timeout server 5s\n} -start\n" + _ASKS.replace("front", "fe1"),
    ),
    passes(
        "a port that refuses",
        started()
        + "process p1 -expect-exit 1 {exec 3<>/dev/tcp/${h1_closed_addr}/${h1_closed_port}"
        "}\nshell -err {bash -c 'exec 3<>/dev/tcp/${h1_closed_addr}/${h1_closed_port}'}",
    ),
    passes(
        "the port of a server that is stopped is still open in it",
        "server s1 {\n  rxreq\n} -start\n"
        + started()
        + "server s1 -break\nshell {python3 -c 'import socket\n"
        + """socket.create_connection(("${s1_addr}", ${s1_port}))'}""",
    ),
    passes("its macros", started() + "shell {test -d ${h1_name} && kill -0 ${h1_pid}}"),
    passes("an exit status", f"{_USES}haproxy h1 -expectexit 1 -conf {{{_BAD}}} -start\ndelay .5"),
    fails("no configuration", "haproxy h1 -start", "haproxy h1 has no configuration", "2:1"),
    fails(
        "it is never started",
        f"{_USES}haproxy h1 -conf {{{CONFIG}}}",
        "configured and never started",
    ),
    fails("arguments too late", started() + 'haproxy h1 -arg "-V"', "haproxy runs already"),
]

DEATHS = [
    fails(
        "a configuration that is none",
        f"{_USES}haproxy h1 -conf {{{_BAD}}} -start\ndelay 9",
        "unknown keyword 'nonsense' in 'global' section",
    ),
    fails(
        "the same in the background",
        f"{_USES}haproxy h1 -D -conf {{{_BAD}}} -start\ndelay 9",
        "unknown keyword 'nonsense'",
    ),
    fails(
        "the same with a worker",
        f"{_USES}haproxy h1 -W -conf {{{_BAD}}} -start\ndelay 9",
        "unknown keyword 'nonsense'",
    ),
    fails(
        "it is killed",
        started() + "shell {kill -9 ${h1_pid}}\ndelay 9",
        "haproxy died: killed by SIGKILL",
    ),
    fails(
        "a client does not wait for a dead one",
        started()
        + "client c1 -connect ${h1_front_sock} {\n  shell {kill -9 ${h1_pid}}\n  delay 9\n} -run",
        "haproxy died: killed by SIGKILL",
    ),
    passes("the status of one that is stopped", started("-expectexit 3") + "haproxy h1 -wait"),
]

CHECKS = [
    passes("a good configuration", f"{_USES}haproxy h1 -conf-OK {{{CONFIG}}}"),
    fails(
        "a bad one that must be good", f"{_USES}haproxy h1 -conf-OK {{{_BAD}}}", "Bad exit status"
    ),
    passes("a bad configuration", f"{_USES}haproxy h1 -conf-BAD nonsense {{{_BAD}}}"),
    fails(
        "another complaint",
        f"{_USES}haproxy h1 -conf-BAD sense-of-humour {{{_BAD}}}",
        "Did not find expected string 'sense-of-humour'",
        "3:1",
    ),
    fails("a good one that must be bad", f"{_USES}haproxy h1 -conf-BAD x {{{CONFIG}}}", "Bad exit"),
]

COMMAND_LINES = [
    passes("a question", started() + cli('send "show info"', 'expect ~ "^Name: HAProxy"')),
    passes("an answer that is not", started() + cli('send "show info"', "expect !~ nonsense")),
    passes(
        "several",
        started() + cli('send "show info"', "expect ~ Name", 'send "show info"', "expect ~ Uptime"),
    ),
    passes(
        "when it is started",
        f"{_USES}haproxy h1 -conf {{{CONFIG}}} -cli {{\n  send help\n  expect ~ quit\n}} -start\n"
        "haproxy h1 -wait",
    ),
    passes(
        "the master's", started("-W -S") + cli('send "show proc"', "expect ~ worker", kind="-mcli")
    ),
    fails(
        "another answer",
        started() + cli('send "show info"', "expect ~ nonsense"),
        'CLI expect failed ~ "nonsense"',
        "16:12",
    ),
    fails(
        "that answer",
        started() + cli('send "show info"', "expect !~ Name"),
        'CLI expect failed !~ "Name"',
    ),
    fails("no question", started() + cli("expect ~ x"), "nothing was sent"),
    fails(
        "another operator", started() + cli("send help", "expect == x"), "the operator is ~ or !~"
    ),
    fails("a command that is none", started() + cli("recv"), 'Unknown command: "recv"'),
]

GROUPS = {"runs": RUNS, "deaths": DEATHS, "checks": CHECKS, "command lines": COMMAND_LINES}
