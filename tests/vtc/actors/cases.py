"""Syslog servers, processes and tunnels."""

from __future__ import annotations

from tests.vtc.cases import fails, passes

SYSLOG = [
    fails("a level that is none", "syslog S1 -level loud", "wrong syslog level 'loud'", "2:18"),
    fails("it was not started", "syslog S1 -wait", "Syslog server not -started"),
    passes("nobody logs", "syslog S1 -level info {\n  recv\n} -start"),
    passes("it is stopped", "syslog S1 -level info {\n  recv\n} -start\nsyslog S1 -stop"),
]


def logged(spec: str, *datagrams: str) -> str:
    """A syslog server of level notice, and what is sent to it."""
    lines = ", ".join(f'b"{line}"' for line in datagrams)
    return f"""
feature cmd {{command -v python3}}
syslog S1 -level notice {{
{spec}
}} -start
shell {{python3 -c '
import socket
log = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for line in [{lines}]:
    log.sendto(line, ("${{S1_addr}}", ${{S1_port}}))
'}}
syslog S1 -wait
"""


SYSLOG += [
    passes("a line", logged("  recv\n  expect ~ hello", "<133>hello")),
    passes("a line of that level", logged("  recv\n  expect ~ two", "<134>one", "<133>two")),
    passes("a line of another level", logged("  recv info\n  expect ~ two", "<133>one", "<6>two")),
    fails(
        "another line", logged("  recv\n  expect ~ bye", "<133>hello"), "EXPECT FAILED ~", "5:12"
    ),
    fails("that line", logged("  recv\n  expect !~ hello", "<133>hello"), "EXPECT FAILED !~"),
    fails("no priority", logged("  recv", "hello"), "syslog PRI, no '<'"),
    fails("half a priority", logged("  recv", "<133hello"), "syslog PRI, no '>'"),
    fails("a priority that is none", logged("  recv", "<x>hello"), "syslog PRI, bad number"),
    fails("another operator", logged("  recv\n  expect == x", "<133>x"), "the operator is ~ or !~"),
]

PROCESSES = [
    passes("a process", "process p1 {true} -run"),
    fails("a status", "process p1 {exit 3} -run", "Bad exit status: 0x0300 exit 0x3 signal 0"),
    passes("a status that is wanted", "process p1 {exit 3} -expect-exit 3 -run"),
    fails("a status that does not come", "process p1 {true} -expect-exit 3 -run", "Bad exit"),
    passes("a signal", "process p1 {kill -9 $$} -expect-signal 9 -run"),
    fails("a signal that nobody wanted", "process p1 {kill -9 $$} -run", "signal 9"),
    passes("it is killed", "process p1 {sleep 60} -start\nprocess p1 -kill TERM -wait"),
    passes("it is killed by number", "process p1 {sleep 60} -start -kill -9 -wait"),
    fails(
        "a signal that is none", "process p1 {sleep 60} -start -kill FOO", "Could not grok signal"
    ),
    fails("it does not run", "process p1 -kill TERM", "Cannot signal a non-running process"),
    fails("it cannot be written to", "process p1 -write x", "Cannot write to a non-running"),
    fails("it runs already", "process p1 {cat} -start -start", "Already running, -wait first"),
    fails("two commands", "process p1 {true} {false}", "Unknown process argument: false"),
    fails("no command", "process p1 -start", "process p1 has no command"),
    passes("it is left running", "process p1 {sleep 60} -start"),
    passes(
        "typing and reading",
        'process p1 {cat} -start -writeln "foo" -expect-text 2 1 "foo" -expect-cursor 3 1\n'
        'process p1 -write "\\x04" -wait\nshell -expect foo {cat ${p1_out}}',
    ),
    fails(
        "a text that can never come",
        'process p1 {echo a} -run -expect-text 1 1 "b"',
        "the process has ended and 'b' is not at 1,1",
    ),
    fails(
        "a cursor elsewhere",
        "process p1 {printf ab} -run -expect-cursor 1 1",
        "Cursor in column 3 (expected 1)",
    ),
    fails("a line that is not there", 'process p1 -expect-text 99 1 "x"', "line 99 of 24 lines"),
    fails("a pattern elsewhere", "process p1 {echo a} -run -match-text 1 1 b", "match failed"),
    passes("a pattern", "process p1 {echo abc} -run -match-text 1 1 ^a.c"),
    passes("errors go elsewhere", "process p1 {echo x >&2} -run\nshell -expect x {cat ${p1_err}}"),
    passes("so many bytes", "process p1 {printf abcdef} -start -need-bytes 6 -need-bytes +0 -wait"),
    fails("too few bytes", "process p1 {printf abc} -run -need-bytes 4", "has ended after 3 bytes"),
    passes(
        "keys",
        "process p1 {cat -v} -start -key HOME -key NPAGE -writeln x\n"
        'process p1 -expect-text 2 1 "^[OH^[[6~x" -kill TERM -wait',
    ),
    fails("a key that is none", "process p1 {cat} -start -key F99", "Unknown key F99"),
    passes(
        "a larger screen",
        'process p1 -winsz 30 100\nprocess p1 {stty size} -run -expect-text 1 1 "30 100"',
    ),
    fails("too small a screen", "process p1 -winsz 1 1", "-winsz: 2 to 1000"),
    fails("too few lines", "process p1 -winsz 1 2", "-winsz: 2 to 1000 (found 1)", "2:19"),
    fails("too few columns", "process p1 -winsz 2 1", "-winsz: 2 to 1000 (found 1)", "2:21"),
    fails("too many lines", "process p1 -winsz 1001 2", "(found 1001)", "2:19"),
    fails("too many columns", "process p1 -winsz 2 1001", "(found 1001)", "2:21"),
    passes(
        "the smallest screen and the largest",
        "process p1 -winsz 2 2 {printf abc} -run -expect-text 2 1 c -expect-cursor 2 2\n"
        "process p2 -winsz 1000 1000 {stty size} -run -expect-text 1 1 {1000 1000}",
    ),
    passes("a status of a signal", "process p1 {kill -15 $$} -expect-signal 15 -run"),
    fails(
        "an end without the signal", "process p1 {exit 0} -expect-signal 15 -run", "Bad exit status"
    ),
    fails("another signal", "process p1 {kill -9 $$} -expect-signal 15 -run", "signal 9"),
    passes("a signal that may come", "process p1 {kill -15 $$} -expect-signal -15 -run"),
    passes("a signal that may stay out", "process p1 {exit 0} -expect-signal -15 -run"),
    passes("the default size", 'process p1 {stty size} -run -expect-text 1 1 "24 80"'),
    passes(
        "text anywhere, in a line, in a column",
        "process p1 {printf 'a\\nxbc'} -run -expect-text 0 0 bc -expect-text 2 0 bc\n"
        "process p1 -expect-text 0 2 bc -expect-text 2 2 bc",
    ),
    fails(
        "text in another line", "process p1 {printf 'a\\nb'} -run -expect-text 1 0 b", "not at 1,0"
    ),
    fails(
        "text in another column",
        "process p1 {printf ab} -run -expect-text 0 1 b",
        "the process has ended and 'b' is not at 0,1",
    ),
    passes("text to the edge", "process p1 -winsz 2 4 {printf abcd} -run -expect-text 1 3 cd"),
    fails(
        "text beyond the edge",
        "process p1 -winsz 2 4 {printf abcd} -run -expect-text 1 3 cde",
        "the text does not fit on a line",
    ),
    fails(
        "text as long as no line", "process p1 -winsz 2 4 -expect-text 0 0 abcde", "does not fit"
    ),
    fails(
        "a column that is not there", "process p1 -expect-cursor 1 81", "column 81 of 80 columns"
    ),
    fails("a line below the last", "process p1 -expect-cursor 25 1", "line 25 of 24 lines"),
    passes(
        "the last line and column", "process p1 {printf '\\033[24;80H'} -run -expect-cursor 24 80"
    ),
    fails(
        "a cursor in another line",
        "process p1 {echo} -run -expect-cursor 1 0",
        "line 2 (expected 1)",
    ),
    passes("a cursor anywhere", "process p1 {echo} -run -expect-cursor 0 0 -expect-cursor 2 0"),
    passes(
        "a pattern from a line and a column on",
        "process p1 {printf 'abc\\nxyz'} -run -match-text 1 2 ^bc -match-text 2 1 ^xyz",
    ),
    fails(
        "a pattern before the column",
        "process p1 {printf abc} -run -match-text 1 2 a",
        "match failed",
    ),
    fails("a pattern that is none", "process p1 -match-text 0 0 (", "invalid regexp"),
    fails("one byte too few", "process p1 {printf abc} -run -need-bytes +4", "has ended after 3"),
    fails(
        "bytes that cannot be typed", "process p1 {cat} -start -writehex 0g", "Illegal hex string"
    ),
    passes(
        "bytes that are typed",
        "process p1 {cat} -start -writehex {61 0a} -expect-text 2 1 a -writehex 04 -wait",
    ),
    passes("a hang-up", "process p1 {sleep 60} -start -close -wait"),
    passes("it is stopped", "process p1 {sleep 60} -start -stop -wait"),
    fails("a log of one that runs", "process p1 {cat} -start -log", "Cannot log a running process"),
    passes("macros", "process p1 {true} -run\nshell {test -d ${p1_dir} && test ! -s ${p1_err}}"),
    passes(
        "a terminal that answers",
        "process p1 {stty -icanon -echo; printf '\\033[6n'; head -c 6 | cat -v} -ansi-response "
        '-run -expect-text 0 0 "^[[1;1R"',
    ),
    passes(
        "its output in the log", "process p1 -log {echo a} -run\nprocess p2 -hexdump {echo} -run"
    ),
    passes(
        "it has a controlling terminal", "process p1 {echo hi >/dev/tty} -run -expect-text 1 1 hi"
    ),
]

TUNNELS = [
    fails("a tunnel that was not started", "tunnel t1 -wait", "Tunnel not -started"),
    passes("a tunnel that nobody uses", "tunnel t1 -connect ${bad_backend} -start"),
    fails(
        "a tunnel to nowhere",
        "tunnel t1 -connect ${bad_backend} -start\n"
        "client c1 -connect ${t1_sock} {\n  expect_close\n} -run",
        "Failed to open",
    ),
    passes(
        "a tunnel",
        "server s1 {\n  rxreq\n  txresp -bodylen 5000\n} -start\n"
        "tunnel t1 -connect ${s1_sock} {\n} -start\n"
        "client c1 -connect ${t1_sock} {\n  txreq\n  rxresp\n  expect resp.bodylen == 5000\n"
        "} -run\ntunnel t1 -wait",
    ),
    fails(
        "a pause in a pause",
        "server s1 {\n  rxreq\n} -start\ntunnel t1 -connect ${s1_sock} {\n  pause\n  pause\n} "
        "-start\nclient c1 -connect ${t1_sock} {\n  expect_close\n} -run",
        "Tunnel already paused",
    ),
    fails(
        "it runs already",
        "server s1 {\n  rxreq\n} -start\ntunnel t1 -connect ${s1_sock} {\n  resume\n} "
        "-start\nclient c1 -connect ${t1_sock} {\n  expect_close\n} -run",
        "Tunnel already running",
    ),
    fails(
        "it must be paused",
        "server s1 {\n  rxreq\n} -start\ntunnel t1 -connect ${s1_sock} {\n  send 1\n} "
        "-start\nclient c1 -connect ${t1_sock} {\n  expect_close\n} -run",
        "Tunnel still running",
    ),
]
