import pytest

from holdfast.vtc.language.check import check
from holdfast.vtc.language.script import parse_script


def problems(body: str) -> list[str]:
    script = parse_script("f", f'vtest "x"\n{body}')
    return [f"{one.position.line}:{one.position.column} {one.text}" for one in check(script)]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("", []),
        ("nonsense 1 2", ['2:1 Unknown command: "nonsense"']),
        ("server s1 {\n  rxreq\n  nonsense\n}", ['4:3 Unknown command: "nonsense"']),
        ("client c1 {\n  loop 2 {\n    nope\n  }\n}", ['4:5 Unknown command: "nope"']),
        ("client c1 {\n  stream 1 {\n    txreq -foo\n  }\n}", ["4:11 Unknown txreq spec: -foo"]),
        ("client c1 -nope", ["2:11 Unknown client argument: -nope"]),
        ("client c1 -connect", ["2:11 client -connect: ADDRESS is missing"]),
        ("client x1 -run", ["2:8 Client name must start with 'c' (got x1)"]),
        ("client", ["2:1 client: the name is missing"]),
        ("delay", ["2:1 delay: 1 argument needed, 0 given"]),
        ("delay 1 2", ["2:9 delay: takes 1 argument, 2 given"]),
        ("client c1 {\n  send_n 1 a b\n}", ["3:14 send_n: takes 2 arguments, 3 given"]),
        ("client c1 {\n  txreq -body x -hdr y\n}", ["3:17 Unknown http txreq spec: -hdr"]),
        ("client c1 {\n  rxreqx\n}", ['3:3 Unknown command: "rxreqx"']),
        ("client c1 {", ["2:11 unbalanced '{': it is never closed"]),
        ('shell "x', ['2:7 Unterminated quoted string in line: shell "x']),
        (
            r'shell "a\.b"',
            ["2:9 this is no escape: the string ends before it, and another word begins behind it"],
        ),
        ("shell {echo ${nope}}", ["2:13 Macro ${nope} not found"]),
        ("shell {echo ${}}", ["2:13 Macro ${} failed: it has no name"]),
        ("shell {echo ${tmpdir} ${date} ${localhost}}", []),
        ("# ${nope}", []),
        ("server s1 {}\nshell {echo ${s1_sock} ${s2_sock}}", ["3:24 Macro ${s2_sock} not found"]),
        ("haproxy h1 -start\nshell {echo ${h1_any_thing}}", []),
        ("process p1 {x}\nshell {cat ${p1_out} ${p1_nope}}", ["3:22 Macro ${p1_nope} not found"]),
        ("feature ignore_unknown_macro\nshell {echo ${nope}}", []),
        ("shell {echo ${a${date}}}", []),
        ("shell {echo ${${nope}}}", ["2:15 Macro ${nope} not found"]),
        ("feature vtest_cmd varnish\nvarnish v1 -start", []),
        ("feature vtest_cmd server\nvarnish v1 -start", ['3:1 Unknown command: "varnish"']),
        (
            "client c1 {\n  expect resp.status = 1\n}",
            ["3:22 unknown operator =: it is one of == != ~ !~ < <= > >= -lt -le -eq -ne -ge -gt"],
        ),
        (
            "client c1 {\n  expect resp.status ~ (\n}",
            ["3:24 REGEXP error: missing ) at position 1 (()"],
        ),
        ("syslog S1 {\n  expect == x\n}", ["3:10 unknown operator ==: it is one of ~ !~"]),
        ("haproxy h1 -cli {\n  sned x\n}", ['3:3 Unknown command: "sned"']),
        ("tunnel t1 {\n  puase\n}", ['3:3 Unknown command: "puase"']),
        ("shell {true} -run", []),
        (
            "client c1 {\n  ws {\n    tx txet a\n  }\n}",
            ["4:8 unknown kind txet: it is one of text binary ping close"],
        ),
        (
            "client c1 {\n  lines {\n    rx lime\n  }\n}",
            ["4:8 unknown kind lime: it is one of line prompt gmcp"],
        ),
        (
            "client c1 {\n  telnet {\n    tx resize 80\n  }\n}",
            ["4:8 tx resize: found 1 words, expected WIDTH HEIGHT"],
        ),
        (
            "session u1 {\n  rx text -until (\n}",
            ["3:18 REGEXP error: missing ) at position 1 (()"],
        ),
        ("session u1 {\n  rx text ${x}\n}", ["3:11 Macro ${x} not found"]),
        ("client c1 {\n  lines {\n    save x rx.text\n  }\n}\nshell {echo ${x}}", []),
        ("session u1 -run\nshell {echo ${u1_token} ${u1_no}}", ["3:25 Macro ${u1_no} not found"]),
        ("gateway g1 -start\nshell {echo ${g1_ws_sock}}", []),
        ("gateway h1 -start", ["2:9 Gateway name must start with 'g' (got h1)"]),
        ("loop 2 {\n  delay\n}", ["3:3 delay: 1 argument needed, 0 given"]),
        (
            "nonsense\nclient x\ndelay",
            [
                '2:1 Unknown command: "nonsense"',
                "3:8 Client name must start with 'c' (got x)",
                "4:1 delay: 1 argument needed, 0 given",
            ],
        ),
    ],
)
def test_a_script_is_read_to_its_end(body: str, expected: list[str]) -> None:
    assert problems(body) == expected


def test_macros_from_outside_are_known() -> None:
    script = parse_script("f", 'vtest "x"\nshell {echo ${given}}\n')
    assert check(script, {"given": "1"}) == []


def test_a_problem_is_shown_with_its_line_and_a_caret() -> None:
    (problem,) = check(parse_script("f", 'vtest "x"\n\tdelay 1 2\n'))
    assert str(problem) == (
        "f:2:10: delay: takes 1 argument, 2 given\n    \tdelay 1 2\n    \t        ^"
    )
