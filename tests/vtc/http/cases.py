"""Clients and servers: connections, PROXY headers, HTTP/1 messages."""

from __future__ import annotations

from tests.vtc.cases import conversation, fails, passes

CONNECTIONS = [
    passes("a request", conversation("rxreq\ntxresp", "txreq\nrxresp")),
    fails(
        "a wrong status",
        conversation("rxreq\ntxresp -status 503", "txreq\nrxresp\nexpect resp.status == 200"),
        'EXPECT resp.status (503) == "200" failed',
        "9:12",
    ),
    fails(
        "nobody listens",
        "client c1 -connect ${bad_backend} {\n  txreq\n} -run",
        "Connection refused",
        "2:1",
    ),
    fails("no address", "client c1 {\n  txreq\n} -run", "Macro ${v1_sock} not found"),
    fails(
        "an address that is none",
        "client c1 -connect [::1 {\n  txreq\n} -run",
        "Failed to open [::1: IPv6 address lacks ']'",
    ),
    fails(
        "an address that cannot be listened on",
        "server s1 -listen 192.0.2.1:0 {\n} -start",
        "Server listen address (192.0.2.1:0) cannot be resolved",
    ),
    fails("a server that was not started", "server s1 -wait", "Server not -started"),
    fails("no specification", "server s1 -start\nclient c1 -connect ${s1_sock} -run", "no specif"),
    passes("a server that nobody comes to", "server s1 {\n  rxreq\n} -start"),
    passes("a server that is stopped", "server s1 {\n  rxreq\n} -start\nserver s1 -break"),
    passes(
        "repetitions",
        "server s1 -repeat 3 {\n  rxreq\n  txresp\n} -start\n"
        "client c1 -connect ${s1_sock} -repeat 3 {\n  txreq\n  rxresp\n} -run\nserver s1 -wait",
    ),
    passes(
        "repetitions on one connection",
        "server s1 -repeat 3 -keepalive {\n  rxreq\n  txresp\n} -start\n"
        "client c1 -connect ${s1_sock} -repeat 3 -keepalive {\n  txreq\n  rxresp\n} -run\n"
        "server s1 -wait",
    ),
    passes(
        "a Unix socket",
        "server s1 -listen ${tmpdir}/s {\n  rxreq\n  expect remote.path == ${tmpdir}/s\n  txresp\n"
        "} -start\nclient c1 -connect ${s1_sock} {\n  txreq\n  rxresp\n} -run",
    ),
    passes(
        "an abstract socket",
        "server s1 -listen @hf.${vtcid} {\n  rxreq\n  txresp\n} -start\n"
        "client c1 -connect @hf.${vtcid} {\n  txreq\n  rxresp\n} -run",
    ),
    passes(
        "IPv6",
        "feature ipv6\nserver s1 -listen [::1]:0 {\n  rxreq\n  expect remote.ip == ::1\n  txresp\n"
        "} -start\nclient c1 -connect ${s1_sock} {\n  txreq\n  rxresp\n} -run",
    ),
    passes(
        "a small receive buffer",
        conversation("rxreq\ntxresp -bodylen 100000", "txreq\nrxresp").replace(
            "client c1", "client c1 -rcvbuf 4096"
        ),
    ),
    passes(
        "a server for each connection",
        "server s0 {\n  rxreq\n  barrier b1 sync\n  txresp\n} -dispatch\nbarrier b1 cond 2\n"
        "client c1 -connect ${s0_sock} {\n  txreq\n  rxresp\n} -start\n"
        "client c2 -connect ${s0_sock} {\n  txreq\n  rxresp\n} -run\nclient c1 -wait",
    ),
    fails("only s0 dispatches", "server s1 {\n} -dispatch", "-dispatch only works on s0", "3:3"),
    fails(
        "a command of the other side",
        conversation("rxreq\ntxresp", "rxreq"),
        '"rxreq" only possible in server',
        "7:5",
    ),
    fails(
        "a command of the other side in a server",
        conversation("rxresp", "txreq\nrxresp"),
        '"rxresp" only possible in client',
        "3:5",
    ),
    fails(
        "a connection that the server has closed at its end",
        conversation("rxreq\nclose", "txreq\nexpect_close") + "\nserver s1 -wait",
        "Shutdown(RD) failed: Bad file descriptor",
    ),
    passes(
        "close and accept",
        conversation("rxreq\nclose\naccept\nrxreq\ntxresp", "txreq\nexpect_close")
        + "\nclient c2 -connect ${s1_sock} {\n  txreq\n  rxresp\n} -run",
    ),
    fails(
        "no close",
        conversation("rxreq\ntxresp\nsend x\ndelay 1", "txreq\nrxresp\nexpect_close"),
        "Expecting close: read = 1, c = 0x78",
    ),
    passes(
        "white space before the close",
        conversation('rxreq\ntxresp\nsend "\\r\\n "', "txreq\nrxresp\nexpect_close"),
    ),
    fails(
        "nothing comes",
        conversation("rxreq\ndelay 2", "timeout .1\ntxreq\nrxresp"),
        "HTTP rx timeout",
    ),
    fails(
        "a close that does not come",
        conversation("rxreq\ndelay 2", "timeout .1\ntxreq\nexpect_close"),
        "Expected close: timeout",
    ),
    fails(
        "a head that is cut short",
        conversation('rxreq\nsend "HTTP/1.1 200"', "txreq\nrxresp"),
        "HTTP header is incomplete",
    ),
    passes(
        "a head that is cut short, and may be",
        conversation("rxreq", "txreq\nnon_fatal\nrxresp\nexpect resp.status == <undef>"),
    ),
    passes(
        "a response that nobody asked for",
        conversation(
            'send "HTTP/1.1 200 OK\\r\\nContent-Length: 3\\r\\n\\r\\nabc"',
            'expect resp.chunklen == ""\nexpect resp.bodylen == ""\nrxresp\n'
            "expect resp.body == abc",
        ),
    ),
    passes("half a close", conversation("rxreq\ntxresp", "txreq\nshutdown -write\nrxresp")),
    fails(
        "an option of shutdown",
        conversation("rxreq\ntxresp", "shutdown -foo"),
        "Unknown http shutdown spec: -foo",
    ),
    fails(
        "a timeout that is none", conversation("delay 1", "timeout x"), "timeout is not a number"
    ),
    passes(
        "a client at the end of the script is waited for",
        conversation("rxreq\ndelay .05\ntxresp", "txreq\nrxresp").replace("-run", "-start"),
    ),
]

PROXY = [
    passes(
        "PROXY version 1",
        conversation("recv 45\nrxreq\ntxresp", "txreq\nrxresp").replace(
            "client c1", 'client c1 -proxy1 "192.0.2.1:1111 192.0.2.22:2222"'
        ),
    ),
    passes(
        "PROXY version 2",
        conversation("recv 33\nrxreq\ntxresp", "txreq\nrxresp").replace(
            "client c1", 'client c1 -proxy2 "192.0.2.1:1 192.0.2.2:2 alpn=h2"'
        ),
    ),
    fails(
        "PROXY without a server",
        conversation("rxreq", "txreq").replace("client c1", 'client c1 -proxy1 "192.0.2.1:1"'),
        "CLIENT and SERVER are needed",
    ),
    fails(
        "PROXY with an unknown type",
        conversation("rxreq", "txreq").replace(
            "client c1", 'client c1 -proxy2 "192.0.2.1:1 192.0.2.2:2 foo=1"'
        ),
        "tlv type foo not found",
    ),
]

MESSAGES = [
    passes(
        "what a request has by itself",
        conversation(
            "rxreq\nexpect req.method == GET\nexpect req.url == /\nexpect req.proto == HTTP/1.1\n"
            "expect req.http.host == 127.0.0.1\nexpect req.http.user-agent == c1\n"
            "expect req.http.content-length == <undef>\nexpect req.bodylen == 0\ntxresp",
            "txreq\nrxresp",
        ),
    ),
    passes(
        "what a response has by itself",
        conversation(
            "rxreq\ntxresp",
            "txreq\nrxresp\nexpect resp.proto == HTTP/1.1\nexpect resp.status == 200\n"
            "expect resp.reason == OK\nexpect resp.http.content-length == 0\n"
            'expect resp.http.server == s1\nexpect resp.http.date ~ " GMT$"',
        ),
    ),
    passes(
        "what can be left out",
        conversation(
            "rxreq\nexpect req.http.host == <undef>\nexpect req.http.user-agent == <undef>\n"
            "txresp -noserver -nodate -nolen",
            "txreq -nouseragent -nohost\nrxresp -no_obj\nexpect resp.http.server == <undef>\n"
            "expect resp.http.date == <undef>\nexpect resp.http.content-length == <undef>",
        ),
    ),
    passes(
        "what the script says itself",
        conversation(
            "rxreq\nexpect req.method == PUT\nexpect req.url == /x\nexpect req.proto == HTTP/1.0\n"
            "expect req.http.host == h\nexpect req.http.user-agent == me\n"
            'txresp -proto HTTP/1.2 -status 201 -reason "Made it" -hdr "Server: me"',
            'txreq -method PUT -url /x -proto HTTP/1.0 -hdr "Host: h" -hdr "User-Agent: me"\n'
            "rxresp\nexpect resp.proto == HTTP/1.2\nexpect resp.status == 201\n"
            'expect resp.reason == "Made it"\nexpect resp.http.server == me',
        ),
    ),
    passes(
        "HTTP/1.0 has no host",
        conversation(
            "rxreq\nexpect req.http.host == <undef>\ntxresp", "txreq -proto HTTP/1.0\nrxresp"
        ),
    ),
    passes(
        "bodies",
        conversation(
            "rxreq\nexpect req.body == abc\nexpect req.http.content-length == 3\ntxresp -body defg",
            "txreq -body abc\nrxresp\nexpect resp.body == defg\nexpect resp.bodylen == 4",
        ),
    ),
    passes(
        "a body with a NUL",
        conversation(
            "rxreq\nexpect req.bodylen == 4\nexpect req.body == a\ntxresp",
            "txreq -body {a\\0bc}\nrxresp",
        ),
    ),
    passes(
        "a generated body",
        conversation("rxreq\nexpect req.bodylen == 100\ntxresp", "txreq -bodylen 100\nrxresp"),
    ),
    fails(
        "an empty generated body",
        conversation("rxreq", "txreq -bodylen 0"),
        "a body's length is 1 to",
        "6:20",
    ),
    passes(
        "a body from a file",
        'filewrite f "from a file"\n'
        + conversation(
            'rxreq\nexpect req.body == "from a file"\ntxresp', "txreq -bodyfrom f\nrxresp"
        ),
    ),
    fails("a body from no file", conversation("rxreq", "txreq -bodyfrom none"), "cannot read none"),
    fails("two bodies", conversation("rxreq", "txreq -body a -body b"), "a second body", "6:19"),
    passes(
        "a long field",
        conversation(
            "rxreq\nexpect req.http.x == 210987654321\ntxresp", "txreq -hdrlen X 12\nrxresp"
        ).replace("210987654321", "109876543210"),
    ),
    fails(
        "an option of the wrong group",
        conversation("rxreq", 'txreq -body x -hdr "A: b"'),
        "Unknown http txreq spec: -hdr",
        "6:19",
    ),
    fails(
        "a word that is no option",
        conversation("rxreq\ntxresp foo", "txreq\nrxresp"),
        "Unknown http txresp spec: foo",
    ),
    passes(
        "a body to the end of the connection",
        conversation("rxreq\ntxresp -nolen -body abc", "txreq\nrxresp\nexpect resp.body == abc"),
    ),
    passes(
        "no body without a length after another status",
        conversation(
            "rxreq\ntxresp -status 404 -nolen -body abc",
            "txreq\nrxresp\nexpect resp.bodylen == 0\nrecv 3",
        ),
    ),
    passes(
        "no body after HEAD",
        conversation(
            "rxreq\ntxresp -nolen -hdr {Content-Length: 100}",
            "txreq -method HEAD\nrxresp\nexpect resp.bodylen == <undef>",
        ),
    ),
    passes(
        "chunks",
        conversation(
            'rxreq\ntxresp -nolen -hdr "Transfer-Encoding: chunked"\nchunked abc\nchunkedlen 10\n'
            "chunkedlen 0",
            "txreq\nrxresp\nexpect resp.bodylen == 13\nexpect resp.body == abc0123456701\n"
            "expect resp.chunklen == 0",
        ),
    ),
    fails(
        "a chunk's length that is none",
        conversation(
            'rxreq\ntxresp -nolen -hdr "Transfer-Encoding: chunked"\nsend "x\\r\\n"',
            "txreq\nrxresp",
        ),
        "Chunklen fail",
    ),
    fails(
        "a chunk without an end",
        conversation(
            'rxreq\ntxresp -nolen -hdr "Transfer-Encoding: chunked"\nsend "1\\r\\nabc"',
            "txreq\nrxresp",
        ),
        "Chunklen without CRLF",
    ),
    fails(
        "chunks and a length",
        conversation(
            'rxreq\ntxresp -hdr "Transfer-Encoding: chunked" -hdr "Content-Length: 3"',
            "txreq\nrxresp",
        ),
        "Both C-E: Chunked and C-L",
    ),
    fails(
        "two lengths",
        conversation(
            'rxreq\ntxresp -hdr "Content-Length: 1" -hdr "Content-Length: 1"', "txreq\nrxresp"
        ),
        "Multiple Content-Length headers.",
    ),
    fails(
        "a body that is cut short",
        conversation('rxreq\ntxresp -hdr "Content-Length: 5" -body abc', "txreq\nrxresp"),
        "HTTP rx EOF",
    ),
    fails(
        "a first line of one word",
        conversation('rxreq\nsend "HTTP/1.1\\r\\n\\r\\n"', "txreq\nrxresp"),
        "the first line has less than two words",
    ),
    passes(
        "a response without a reason",
        conversation(
            'rxreq\nsend "HTTP/1.1 204\\r\\n\\r\\n"',
            "txreq\nrxresp\nexpect resp.status == 204\nexpect resp.reason == <undef>",
        ),
    ),
    passes(
        "compression",
        conversation(
            "rxreq\nexpect req.http.content-encoding == gzip\ngunzip\nexpect req.body == abc\n"
            "txresp -gziplevel 9 -gziplen 1000",
            "txreq -gzipbody abc\nrxresp\ngunzip\nexpect resp.bodylen == 1000",
        ),
    ),
    fails(
        "what is not compressed",
        conversation("rxreq\ngunzip", "txreq -body abc\nrxresp"),
        "Gunzip error: body lacks gzip magic",
    ),
    passes(
        "raw bytes",
        conversation('recv 3\nsendhex "0 1 61"\nsend_n 3 "ab"', 'send "xyz"\nrecv 2\nrecv 6'),
    ),
    fails(
        "bytes after the close",
        conversation("rxreq\nclose\nsend x", "txreq\nexpect_close"),
        "the connection is closed",
    ),
    passes("urgent bytes", conversation('send_urgent "a"\nsend "b"', "recv 1")),
    passes(
        "a body in a file",
        conversation(
            'rxreq\nwrite_body body.txt\nshell {test "$(cat ${tmpdir}/body.txt)" = abc}\ntxresp',
            "txreq -req POST -body abc\nrxresp",
        ),
    ),
    fails(
        "bytes that are none", conversation("recv 1", "sendhex 0g"), "Illegal hex string", "6:13"
    ),
    fails("bytes that do not come", conversation("send ab", "recv 3"), "recv() got 0"),
    fails("a word too many", conversation("recv 1", "send a b"), "send: takes 1 argument", "6:12"),
    fails(
        "an operator that is none",
        conversation("rxreq\nexpect req.url = /", "txreq\nrxresp"),
        "test not implemented",
        "4:20",
    ),
    fails(
        "a pattern that is none",
        conversation("rxreq\nexpect req.url ~ (", "txreq\nrxresp"),
        "REGEXP error",
        "4:22",
    ),
    fails(
        "two words to compare",
        conversation("rxreq\nexpect req.url", "txreq\nrxresp"),
        "expect: 3 arguments needed, 1 given",
    ),
    fails(
        "a pattern of digits",
        conversation("rxreq\ntxresp", "txreq\nrxresp\nexpect_pattern\nchunked"),
        "chunked: 1 argument needed",
    ),
    fails(
        "no pattern of digits",
        conversation("rxreq\ntxresp -body 01x", "txreq\nrxresp\nexpect_pattern"),
        "EXPECT PATTERN FAIL @2 should 0x32 is 0x78",
    ),
]
