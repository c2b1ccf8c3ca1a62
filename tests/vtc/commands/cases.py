"""What stands at the top of a script, and barriers."""

from __future__ import annotations

from tests.vtc.cases import conversation, fails, passes, skips

TOP = [
    passes("nothing", ""),
    fails("an unknown command", "foo bar", 'Unknown command: "foo"', "2:1"),
    fails("two titles", 'vtest "a" "b"', "vtest: takes 1 argument, 2 given", "2:12"),
    fails("a macro that is not there", "shell {echo ${foo}}", "Macro ${foo} not found", "2:13"),
    fails("a macro without a name", 'shell "${}"', "Macro ${} failed", "2:8"),
    fails("a brace that is not closed", "server s1 {\nrxreq", "unbalanced '{'", "2:11"),
    fails("a quote that is not closed", 'shell "abc', "Unterminated quoted string", "2:7"),
    fails("no delay", "delay", "delay: 1 argument needed", "2:1"),
    fails("a delay that is no number", "delay 1s", "Syntax error in number (1s)", "2:7"),
    passes("a delay", "delay .01"),
    fails("a loop without a specification", "loop 3", "loop: 2 arguments needed", "2:1"),
    passes("a loop", 'loop 3 {\nfilewrite -a f "x"\n}\nshell -expect xxx {cat f}'),
    passes("a loop that never runs", "loop 0 {\nnonsense\n}"),
    fails("a loop with a slip", "loop 2 {\n  nonsense\n}", 'Unknown command: "nonsense"', "3:3"),
    passes("a file", 'filewrite f "a" "b\\n"\nfilewrite -a f "c"\nshell -match "^ab\\nc$" {cat f}'),
    fails("a file without a name", "filewrite", "Need filename", "2:1"),
    fails("a file in no directory", 'filewrite no/f "x"', "No such file or directory", "2:11"),
    passes("a file from a later one", 'filewrite f "a"\nfilewrite f "b"\nshell -expect b {cat f}'),
    fails("a variable without a name", 'setenv "" b', 'CMD setenv ="b" failed: Invalid argument'),
    fails("a variable with a sign", "setenv a=b c", 'CMD setenv a=b="c" failed: Invalid argument'),
    passes("an empty variable", 'setenv A ""\nsetenv -ifunset A b\nshell {test -z "$A"}'),
    passes("no delay at all", "delay 0\ndelay -1"),
    passes("a loop once", 'loop 1 {\nfilewrite -a f "x"\n}\nshell {test "$(cat f)" = x}'),
    passes("a variable", 'setenv FOO "a b"\nshell -expect "a b" {echo "$FOO"}'),
    passes("a variable that is kept", "setenv F a\nsetenv -ifunset F b\nshell -expect a {echo $F}"),
    fails("a variable without a value", "setenv FOO", "setenv: 2 arguments needed"),
    fails("a variable with two values", "setenv A b c", "setenv: takes 2 arguments", "2:12"),
    passes("a file that is included", 'filewrite f "delay 0\\n"\ninclude f f'),
    fails("an include without a file", "include", "include: 1 argument needed"),
    fails("an include that is not there", "include none", "cannot read none", "2:9"),
    fails("a slip in an include", 'filewrite f "\\nfoo\\n"\ninclude f', 'Unknown command: "foo"'),
    fails("an include of itself", 'filewrite f "include f\\n"\ninclude f', "more than 20 files"),
]

SHELL = [
    passes("a shell command", "shell {true}"),
    fails("a shell command that fails", "shell {false}", "shell_exit not as expected: got 0x0001"),
    passes("a shell command that must fail", "shell -err {false}"),
    fails("it does not fail", "shell -err {true}", "shell did not fail as expected"),
    passes("a status", "shell -exit 3 {exit 3}"),
    passes("the status of success", "shell -exit 0 {true}"),
    fails("another than success", "shell -exit 0 {exit 1}", "got 0x0001 wanted 0x0000", "2:1"),
    passes("the largest status", "shell -exit 255 {exit 255}"),
    passes("output and a status", "shell -exit 3 -expect a {echo a; exit 3}"),
    fails("output and another status", "shell -exit 3 -expect a {echo a}", "got 0x0000"),
    passes("output over lines", 'shell -match "(?m)^b$" {echo a; echo b}'),
    fails("another status", "shell -exit 3 {exit 4}", "got 0x0004 wanted 0x0003"),
    passes("output", 'shell -expect "b c" {echo a b c}'),
    fails("no such output", 'shell -expect "x" {echo a}', 'shell_expect not found: ("x")', "2:16"),
    passes("a pattern", 'shell -match "^a.c$" {echo abc}'),
    fails("no such pattern", 'shell -match "x" {echo a}', 'shell_match failed: ("x")', "2:15"),
    fails("a bad pattern", 'shell -match "(" {echo a}', "shell_match invalid regexp", "2:15"),
    fails("both", "shell -expect a -match b {echo}", "Cannot use -expect with -match"),
    fails("no command", "shell -err", "shell: the command is missing"),
    passes("errors are output", 'shell -expect "oops" {echo oops >&2}'),
    passes("it runs in the test's directory", 'shell -expect "${tmpdir}" {pwd}'),
    fails("it ends at the first error", "shell {false; true}", "shell_exit not as expected"),
    passes("a signal counts as status 0", "shell {kill -9 $$}"),
    passes("a signal counts as a failure", "shell -err {kill -9 $$}"),
    passes("words behind the command are ignored", "shell {true} # a comment"),
]

FEATURE = [
    passes("features", "feature ipv4 64bit cmd true !cmd false"),
    skips("a command that fails", "feature cmd false\nnonsense", "lacking feature: cmd"),
    skips("a command that must fail", "feature !cmd true", "conflicting feature: cmd"),
    skips("a command of Varnish", "feature vtest_cmd varnish", "lacking feature: vtest_cmd"),
    passes("a command of ours", "feature vtest_cmd client vtest_cmd barrier"),
    skips("not in a source tree", "feature topbuild", "lacking feature: topbuild"),
    fails("an unknown feature", "feature foo", "FAIL test, unknown feature: foo", "2:9"),
    fails("a feature without its command", "feature cmd", "Missing the command-line", "2:9"),
    passes("unknown macros stay", "feature ignore_unknown_macro\nshell {test '${a}' = '$''{a}'}"),
]

NAMES = [
    fails("a client's name", "client x1 -run", "Client name must start with 'c' (got x1)", "2:8"),
    fails("a server's name", "server x1", "Server name must start with 's' (got x1)"),
    fails("a process's name", "process x1", "Process name must start with 'p' (got x1)"),
    fails("a barrier's name", "barrier x1 sync", "Barrier name must start with 'b' (got x1)"),
    fails("a tunnel's name", "tunnel x1", "Tunnel name must start with 't' (got x1)"),
    fails("a syslog server's name", "syslog x1", "Syslog name must start with 'S' (got x1)"),
    fails("a HAProxy's name", "haproxy x1", "haproxy name must start with 'h' (got x1)"),
    fails("an option of a client", "client c1 -foo", "Unknown client argument: -foo", "2:11"),
    fails("an option of a server", "server s1 -foo", "Unknown server argument: -foo"),
    fails("an option of a process", "process p1 -foo", "Unknown process argument: -foo"),
    fails("an option of a barrier", "barrier b1 foo", "Unknown barrier argument: foo"),
    fails("an option of a tunnel", "tunnel t1 -foo", "Unknown tunnel argument: -foo"),
    fails("an option of a syslog server", "syslog S1 -foo", "Unknown syslog argument: -foo"),
    fails("an option of a HAProxy", "haproxy h1 -foo", "Unknown haproxy argument: -foo"),
]

BARRIERS = [
    passes(
        "a barrier",
        "barrier b1 cond 2\n"
        + conversation("rxreq\nbarrier b1 sync\ntxresp", "txreq\nbarrier b1 sync\nrxresp"),
    ),
    passes(
        "a barrier again and again",
        "barrier b1 cond 2 -cyclic\n"
        + conversation("loop 3 {\nbarrier b1 sync\n}", "loop 3 {\nbarrier b1 sync\n}"),
    ),
    passes(
        "a barrier with a socket",
        "barrier b1 sock 2\n" + conversation("barrier b1 sync", "barrier b1 sync"),
    ),
    passes(
        "a process at a barrier",
        "feature cmd {command -v python3}\nbarrier b1 sock 2\nprocess p1 {python3 -c '\n"
        'import socket\nsocket.create_connection(("${b1_addr}", ${b1_port})).recv(1)\n\'} -start\n'
        "barrier b1 sync\nprocess p1 -wait",
    ),
    fails("a barrier for one", "barrier b1 cond 1", "wrong expectation (1)"),
    fails("a barrier for nobody", "barrier b1 sock 0", "wrong expectation (0)"),
    fails("a barrier in two ways", "barrier b1 cond 2\nbarrier b1 sock 2", "already initialized"),
    fails(
        "a barrier that is changed in use",
        "barrier b1 cond 2\nserver s1 {\n  barrier b1 sync\n} -start\n"
        "client c1 -connect ${s1_sock} {\n  delay .2\n} -run\nbarrier b1 -cyclic",
        "already in use",
    ),
    passes(
        "a barrier of three",
        "barrier b1 cond 3\n"
        + conversation("barrier b1 sync", "barrier b1 sync").replace("-run", "-start")
        + "\nbarrier b1 sync\nclient c1 -wait",
    ),
    passes(
        "a barrier with a socket again and again",
        "barrier b1 sock 2 -cyclic\n"
        + conversation("loop 3 {\nbarrier b1 sync\n}", "loop 3 {\nbarrier b1 sync\n}"),
    ),
    fails("a barrier twice", "barrier b1 cond 2\nbarrier b1 cond 2", "already initialized"),
    fails("a barrier that is none", "barrier b1 sync", "use error: not initialized"),
    fails("a barrier that is none, again and again", "barrier b1 -cyclic", "not initialized"),
    fails(
        "one too many",
        "barrier b1 cond 2\nserver s1 {\n  barrier b1 sync\n} -start\n"
        "client c1 -connect ${s1_sock} {\n  barrier b1 sync\n} -run\nbarrier b1 sync",
        "more waiters than the 2 expected",
    ),
    fails(
        "a barrier that a specification makes",
        conversation("barrier b1 cond 2", "recv 1"),
        "Barrier b1 can only be created on the top thread",
    ),
    fails(
        "somebody waits at the end",
        "barrier b1 sock 2\nserver s1 {\n  barrier b1 sync\n} -start\n"
        "client c1 -connect ${s1_sock} {\n  expect_close\n} -start\ndelay .2",
        "Barrier(b1) has 1 outstanding waiters",
    ),
]
