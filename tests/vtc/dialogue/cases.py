"""Conversations in messages: WebSockets, lines, Telnet and sessions, gateways and applications."""

from __future__ import annotations

from tests.vtc.cases import conversation, fails, passes

from holdfast.vtc.dialogue.conversation import to_script

UMLAUTS = to_script("Grüße")


def both(opening: str, server: str, client: str) -> str:
    """A server and a client that speak the same, each with its commands."""
    return conversation(
        f"{opening} {{\n{server}\n}}",
        f"{opening} {{\n{client}\n}}",
    )


def at_gateway(command: str, spec: str) -> str:
    """A command at a gateway that echoes."""
    scheme = "ws" if command.startswith("session") else "telnet"
    listen = f"{scheme}://${{listen_addr}}{'/' if scheme == 'ws' else ''}"
    return (
        f"gateway g1 -listen {listen} -backend echo -start\n"
        f"{command} -connect ${{g1_{scheme}_sock}} {{\n{spec}\n}} -run"
    )


WEBSOCKETS = [
    passes("a text", both("ws", "rx text hello", "tx text hello")),
    fails(
        "another text",
        both("ws", "tx text hello\nrx text", "rx text bye"),
        "rx text: received 'hello', expected 'bye'",
        "10:13",
    ),
    fails(
        "another kind",
        both("ws", "tx binary 00\nrx text", "rx text"),
        "rx text: received binary '00'",
        "10:5",
    ),
    passes("any text", both("ws", "tx text hello", "rx text\nexpect rx.text == hello")),
    fails(
        "a text that is not as expected",
        both("ws", "tx text hello\nrx text", "rx text\nexpect rx.text == bye"),
        'EXPECT rx.text (hello) == "bye" failed',
    ),
    passes("until a text", both("ws", "tx text a\ntx text b", 'rx text -until "^b$"')),
    fails(
        "until a text that never comes",
        both("ws", "tx text a\ntx text b\ntx close", 'rx text -until "^c$"'),
        "rx text: the peer has closed the connection",
    ),
    passes("until a kind and a text", both("ws", "tx binary 62\ntx text 62", "rx text -until 62")),
    fails(
        "nothing comes",
        both("ws", "rx text", "rx text").replace("    ws", "    timeout 0.1\n    ws"),
        "nothing came within 0.1 s",
    ),
    passes("a ping on the side", both("ws", "tx ping\ntx text a\nrx pong", "rx text a")),
    passes("a ping that is looked at", both("ws", "tx ping yes", "rx ping yes")),
    passes("what is not ASCII", both("ws", f"rx text {UMLAUTS}", f"tx text {UMLAUTS}")),
    passes("JSON", both("ws", 'tx text {{"a": [1, "b"]}}', "rx text\nexpect rx.json.a.1 == b")),
    passes("a number in JSON", both("ws", 'tx text {{"a": 1}}', "rx text\nexpect rx.json.a == 1")),
    passes(
        "what is not there",
        both("ws", "tx text {{}}", "rx text\nexpect rx.json.a == <undef>\nexpect rx.json == {{}}"),
    ),
    fails(
        "a macro of what is not there",
        both("ws", "tx text {{}}\nrx text", "rx text\nsave x rx.json.a"),
        "save: there is no rx.json.a",
    ),
    fails(
        "a macro of a pattern that is not found",
        both("ws", "tx text a\nrx text", "rx text\nsave x rx.text b"),
        "save: the pattern is not found in 'a'",
    ),
    passes(
        "a sub-protocol", both("ws -protocol a", "rx text", "expect ws.protocol == a\ntx text b")
    ),
    passes("a close", both("ws", "rx close '1000 x y'".replace("'", '"'), 'tx close 1000 "x y"')),
    fails("the wrong code", both("ws", 'rx close "1001"', "tx close\nrx close"), "received '1000'"),
    passes("the end", both("ws", "tx close", "rx close\nexpect_close")),
    fails(
        "more before the end",
        both("ws", "tx text a\ntx close", "expect_close"),
        "expect_close: received text 'a'",
    ),
    fails(
        "a broken protocol",
        both("ws", "sendhex 818000000000", "expect_close"),
        "ws: the peer broke the protocol: the frame must not be masked",
    ),
    fails(
        "a server that wants no WebSocket",
        conversation("rxreq\ntxresp -status 404", "ws {\nrx text\n}"),
        "ws: the server answered 404",
    ),
    fails(
        "a client that wants no WebSocket",
        conversation("ws {\nrx text\n}", "txreq\nrxresp"),
        "ws: the request asks for no WebSocket",
    ),
    fails(
        "no specification", conversation("rxreq", "ws -url /"), "ws: the specification is missing"
    ),
    fails("an unknown kind", both("ws", "rx text", "tx texts a"), "unknown kind texts"),
    fails(
        "a word too many", both("ws", "rx text", "tx text a b"), "found 2 words, expected STRING"
    ),
    fails("no UTF-8", both("ws", "rx text", r'tx text "\xff"'), "this is not UTF-8"),
    passes(
        "TLS",
        both("ws", "rx text hello", "tx text hello")
        .replace("server s1", 'server s1 -tls ""')
        .replace("client c1", 'client c1 -tls ""'),
    ),
    passes("a connection that breaks", both("ws", "rx text a\nexpect_close", "tx text a\ndrop")),
]

WORD = "${string,repeat,1,%s}"
"""A word that is known only when its command runs."""

WEBSOCKETS += [
    passes("a kind in a macro", both("ws", f"rx {WORD % 'text'} hi", f"tx {WORD % 'text'} hi")),
    fails(
        "an unknown kind in a macro",
        both("ws", f"rx {WORD % 'foo'}", "tx text hi"),
        "unknown kind foo: it is one of text binary close ping pong",
        "4:8",
    ),
    fails(
        "a kind that cannot be sent",
        both("ws", "rx text", "tx pong"),
        "unknown kind pong: it is one of text binary ping close",
        "9:8",
    ),
    fails(
        "a kind that cannot be sent in a macro",
        both("ws", "rx text", f"tx {WORD % 'foo'} a"),
        "unknown kind foo: it is one of text binary ping close",
    ),
    fails(
        "a text is missing",
        both("ws", "rx text", "tx text"),
        "tx text: found 0 words, expected STRING",
        "9:8",
    ),
    fails(
        "a word too many behind a ping",
        both("ws", "rx ping", "tx ping a b"),
        "tx ping: found 2 words, expected [STRING]",
    ),
    fails(
        "two words too many",
        both("ws", "rx close", "tx close 1000 a b"),
        "tx close: found 3 words, expected [CODE] [REASON]",
    ),
    passes("a code alone", both("ws", "rx close 1001", "tx close 1001")),
    fails(
        "a code that is none",
        both("ws", "rx close", "tx close abc"),
        "tx close: found abc, expected a number",
        "9:14",
    ),
    fails("bytes that are none", both("ws", "rx binary", "tx binary 0g"), "Illegal hex string"),
    passes("a pattern in a macro", both("ws", "tx text ab", f"rx text -until {WORD % 'b'}")),
    fails(
        "a pattern that is none",
        both("ws", "tx text ab", "rx text -until ("),
        "REGEXP error",
        "9:20",
    ),
    fails(
        "a pattern that is none in a macro",
        both("ws", "tx text ab", f"rx text -until {WORD % '('}"),
        "REGEXP error",
    ),
    fails(
        "another option",
        both("ws", "tx text ab", "rx text -till ab"),
        "Unknown rx argument: ab",
        "9:19",
    ),
    passes("a text like the option", both("ws", "tx text -until", "rx text -until")),
    fails(
        "another kind before the text",
        both("ws", "tx binary 00\ntx text a", "rx text a"),
        "rx text: received binary '00'",
    ),
    fails(
        "the sides of another text",
        both("ws", "tx text hello", "rx text hell"),
        "rx text: received 'hello', expected 'hell'",
        "9:13",
    ),
    *[
        passes(
            f"a macro of the pattern {pattern}",
            "server s1 -repeat 2 {\nws {\ntx text abc\nrx text\n"
            f"expect rx.text == {value}\n}}\n}} -start\n"
            "client c1 -connect ${s1_sock} {\nws {\nrx text\n"
            f'save x rx.text "{pattern}"\ntx text {value}\n}}\n}} -run\n'
            "client c2 -connect ${s1_sock} {\nws {\nrx text\ntx text ${x}\n}\n} -run\n"
            "server s1 -wait",
        )
        for pattern, value in (("b.", "bc"), ("b(.)", "c"), ("(.)(.)", "a"), ("(?:.)(.)", "b"))
    ],
    fails(
        "a macro of a pattern that is none",
        both("ws", "tx text a\nrx text", "rx text\nsave x rx.text ("),
        "REGEXP error",
        "11:20",
    ),
    fails(
        "a message that is not looked for",
        both("ws", "tx text a\nrx text", "rx text\nsave x rx.text b"),
        "save: the pattern is not found in 'a'",
        "11:20",
    ),
    passes("raw bytes", both("ws", "rx text hi", "sendhex {81 82 00000000 6869}")),
    fails("raw bytes that are none", both("ws", "rx text", "sendhex 0g"), "Illegal hex", "9:13"),
    passes(
        "values deep in JSON",
        both(
            "ws",
            'tx text {{"a": [[1, {"b": null}], "u"], "1": {"2": true}}}',
            "rx text\nexpect rx.json.a.0.1.b == null\nexpect rx.json.a.1 == u\n"
            "expect rx.json.1.2 == true\nexpect rx.json.a.2 == <undef>\n"
            "expect rx.json.a.x == <undef>\nexpect rx.json.a.0.0.0 == <undef>\n"
            "expect rx.json.a.01 == u\nexpect rx.jsons == rx.jsons\nexpect rx.kind == text",
        ),
    ),
    passes(
        "until passes over other kinds",
        both("ws", "tx binary 61\ntx text b\ntx text c", "rx text -until c\nexpect rx.text == c"),
    ),
    passes(
        "a pong waits for its command",
        both("ws", "rx text a\ntx ping x\ntx text b\nrx pong x", "tx text a\nrx text b\nrx ping x"),
    ),
    fails(
        "the end before a pong",
        both("ws", "tx text a", "rx text a\nrx pong"),
        "rx pong: ",
    ),
    fails(
        "nothing can be sent after a break",
        both("ws", "rx text a", "tx text a\ndrop\ntx text b"),
        "the connection is closed",
    ),
]

LINES = [
    passes("a line", both("lines", "rx line hello", "tx line hello")),
    fails("another line", both("lines", "tx line a\nrx line", "rx line b"), "received 'a'"),
    passes("a prompt", both("lines", 'send "Name: "\nrx line a', 'rx prompt "Name: "\ntx line a')),
    passes(
        "a prompt in pieces",
        both(
            "lines", 'send "Na"\ndelay 0.05\nsend "me: "\nrx line', 'rx prompt "Name: "\ntx line a'
        ),
    ),
    fails(
        "another prompt",
        both("lines", 'send "Name: "\nrx line', 'rx prompt "Word: "'),
        "rx prompt: received 'Name: ', expected 'Word: '",
    ),
    passes(
        "what comes behind an answered prompt",
        both(
            "lines",
            'send "> "\nrx line a\ntx line b\nsend "> "',
            'rx prompt "> "\ntx line a\nrx line b\nrx prompt "> "',
        ),
    ),
    fails(
        "a line instead of a prompt",
        both("lines", "tx line a\nrx line", "rx prompt"),
        "rx prompt: received line 'a'",
    ),
    fails(
        "what bare lines cannot say",
        both("lines", "rx line", "tx gmcp Core.Ping"),
        "only Telnet can do this",
    ),
]

LINES += [
    fails(
        "what only Telnet can do",
        both("lines", "rx line", "tx interrupt"),
        "only Telnet can do this",
    ),
    fails(
        "a size of one number",
        both("lines", "rx line", "tx resize 80"),
        "tx resize: found 1 words, expected WIDTH HEIGHT",
        "9:8",
    ),
    fails(
        "a size that is none",
        both("lines", "rx line", "tx resize 80 x"),
        "tx resize: expected two numbers",
        "9:15",
    ),
    fails(
        "a size of no width",
        both("lines", "rx line", "tx resize x 80"),
        "tx resize: expected two numbers",
    ),
    passes(
        "a prompt that comes in pieces",
        both(
            "lines",
            'send "na"\ndelay .02\nsend "me: "\nrx line ann',
            'rx prompt "name: "\ntx line ann',
        ),
    ),
    fails(
        "a longer prompt",
        both("lines", 'send "name: "\nrx line', 'rx prompt "na"'),
        "rx prompt: received 'name: ', expected 'na'",
    ),
    passes(
        "a prompt is passed over by its answer",
        both(
            "lines",
            'send "name: "\nrx line ann\nsend "hi\\n"',
            'rx prompt "name: "\ntx line ann\nrx line hi',
        ),
    ),
    passes(
        "until a prompt",
        both("lines", 'send "a\\nb> "\nrx line x', "rx prompt -until >\ntx line x"),
    ),
    fails(
        "a line before the prompt",
        both("lines", 'send "a\\nb> "\nrx line', 'rx prompt "b> "'),
        "rx prompt: received line 'a'",
    ),
    fails(
        "the end in a prompt",
        both("lines", 'send "na"', 'rx prompt "name: "'),
        "rx prompt: received 'na', expected 'name: '",
    ),
]

TELNET = [
    passes(
        "a line",
        at_gateway("client c1", "telnet {\nrx line -until resume\ntx line a\nrx line a\n}"),
    ),
    fails(
        "an option that does not exist",
        at_gateway("client c1", "telnet -refuse echoes {\nrx line\n}"),
        "-refuse: unknown option echoes",
    ),
    fails(
        "a size that is none",
        at_gateway("client c1", "telnet -size 80 {\nrx line\n}"),
        "-size: found 80, expected as in 80x24",
    ),
    fails(
        "GMCP that is refused",
        at_gateway("client c1", "timeout 0.3\ntelnet -refuse gmcp {\ntx gmcp Core.Ping\n}"),
        "tx gmcp: nothing came within 0.3 s",
    ),
    fails(
        "a server",
        conversation("telnet {\nrx line\n}", "delay 0"),
        "telnet",
    ),
]

SESSIONS = [
    passes("a session", at_gateway("session u1", "rx welcome\ntx command a\nrx text a")),
    fails(
        "no such place",
        at_gateway("session u1 -url /x", "rx welcome").replace("}/", "}/y"),
        "answered 404",
    ),
    fails("a session that is none", "session u1 -as u2", "-as: there is no session u2"),
    fails(
        "data that are none",
        at_gateway("session u1", "rx welcome\ntx data A {b}"),
        "tx data: this is not JSON",
    ),
    fails(
        "a gateway that speaks another protocol",
        "server s1 {\nws -protocol holdfast.v1 {\nrx text\ntx text nonsense\nrx text\n}\n} -start\n"
        "session u1 -connect ${s1_sock} {\nrx welcome\n} -run",
        "session: this is no message: nonsense",
    ),
    fails(
        "a gateway that loses an output",
        """
server s1 {
    ws -protocol holdfast.v1 {
        rx text
        tx text {{"t":"welcome","sid":"s","token":"t","epoch":"e","seq":0,"heartbeat":30}}
        tx text {{"t":"text","n":1,"d":"one"}}
        tx text {{"t":"text","n":3,"d":"three"}}
        rx text
    }
} -start
session u1 -connect ${s1_sock} {
    rx welcome
    rx text "one"
    rx text "three"
} -run
""",
        "session: the gateway broke the protocol: output 3 came after 1",
    ),
]

GATEWAYS = [
    fails(
        "a gateway that cannot start",
        "server s1 {\nrxreq\n} -start\ngateway g1 -listen tcp://${s1_sock} -start",
        "another process listens there already",
    ),
    fails(
        "a configuration that is wrong",
        "gateway g1 -conf {nonsense = 1} -start",
        "holdfast died: exit status 2: holdfast: holdfast.toml: nonsense: not a known key",
    ),
    fails(
        "a configuration that is right",
        'gateway g1 -conf-BAD {x} {\n[[listener]]\nurl = "tcp://127.0.0.1:0"\n}',
        "Bad exit status: 0x0000",
    ),
    fails("an address that is none", "gateway g1 -listen gopher://x -start", "expected one of tcp"),
    fails("two starts", at_gateway("client c1", "delay 0") + "\ngateway g1 -start", "runs already"),
    fails("nothing to stop", "gateway g1 -stop", "gateway g1 does not run"),
    fails(
        "a gateway that dies",
        at_gateway("client c1", "delay 0") + "\nshell {kill -9 ${g1_pid}}\ndelay 9",
        "holdfast died: killed by SIGKILL",
    ),
    fails(
        "a gateway that ends otherwise than it should",
        at_gateway("client c1", "delay 0") + "\ngateway g1 -expectexit 3 -stop",
        "Bad exit status: 0x0000",
    ),
    fails("an application without a link", "application a1 {\npass\n} -start", "has no -link"),
    fails("an application without a program", "application a1 -link x -start", "has no program"),
    fails(
        "an application that is none",
        "application a1 -link unix:x {\nraise ValueError('no')\n} -start",
        "application died: exit status 1: ValueError: no",
    ),
]
