"""Streams of HTTP/2."""

from __future__ import annotations

from tests.vtc.cases import conversation, fails, passes


def streams(server: str, client: str) -> str:
    """A server and a client with a stream each."""
    return conversation(f"stream 1 {{\n{server}\n}} -run", f"stream 1 {{\n{client}\n}} -run")


STREAMS = [
    passes("a stream", streams("rxreq\ntxresp", "txreq\nrxresp\nexpect resp.status == 200")),
    passes(
        "what a request has by itself",
        streams(
            "rxreq\nexpect req.method == GET\nexpect req.url == /\nexpect req.scheme == http\n"
            "expect req.authority == <undef>\ntxresp",
            "txreq\nrxresp",
        ),
    ),
    fails(
        "a wrong status on a stream",
        streams("rxreq\ntxresp -status 503", "txreq\nrxresp\nexpect resp.status == 200"),
        'EXPECT resp.status (503) == "200" failed',
    ),
    fails(
        "a frame of another type",
        streams("rxreq\ntxdata -data x", "txreq\nrxresp"),
        "Frame #1 for rxresp was of type DATA (0) instead of HEADERS (1)",
    ),
    fails(
        "another single frame",
        streams("rxreq\ntxrst -err CANCEL", "txreq\nrxping"),
        "Wrong frame type RST_STREAM (3) wanted PING",
    ),
    fails(
        "a value of another frame",
        streams("rxreq\ntxrst", "txreq\nrxrst\nexpect ping.ack == true"),
        "Last frame was not of type PING",
    ),
    fails("no frame yet", streams("rxreq", "expect frame.type == 1"), "No frame received yet."),
    fails(
        "a stream's option",
        conversation("stream 1 -foo", "stream 1 {\n} -run"),
        "Unknown stream argument: -foo",
    ),
    fails(
        "a stream's number",
        conversation("stream x", "stream 1 {\n} -run"),
        "Stream id must be a 31-bits integer (found x)",
    ),
    fails(
        "an option of a request",
        streams("rxreq", "txreq -status 200"),
        "Unknown txreq spec: -status",
    ),
    fails(
        "an indexing that is none",
        streams("rxreq", "txreq -litHdr foo plain a plain b"),
        "first -litHdr arg can be inc, not, never (got: foo)",
    ),
    fails(
        "a coding that is none", streams("rxreq", "txreq -litHdr inc foo a plain b"), "huf or plain"
    ),
    fails("a number that is none", streams("rxreq", "txreq -idxHdr x"), "takes an integer"),
    fails("too long a padding", streams("rxreq", "txreq -padlen 300"), "limited to 255 bytes"),
    fails("two bodies on a stream", streams("rxreq", "txreq -body a -body b"), "a second body"),
    fails("the other side's request", streams("txreq", "txreq"), '"txreq" only possible in client'),
    fails(
        "the other side's response", streams("rxreq", "txresp"), '"txresp" only possible in server'
    ),
    fails(
        "no such error", streams("rxreq\ntxrst -err FOO", "txreq\nrxrst"), "-err takes an integer"
    ),
    fails("too short a ping", streams("rxreq\ntxping -data abc", "txreq"), "data must be a 8-char"),
    fails(
        "a truth that is none", streams("txsettings -push maybe", "rxsettings"), "Push parameter"
    ),
    fails(
        "a tag that is none", streams("txsettings -0xzz 1", "rxsettings"), "Invalid settings tag"
    ),
    fails("an update without a size", streams("txwinup", "rxwinup"), "txwinup: -size is missing"),
    fails(
        "settings before HTTP/2",
        conversation("recv 1", "settings -dectbl 1"),
        "Only possible in H/2",
    ),
    fails(
        "HTTP/1 on HTTP/2",
        conversation("rxpri", "txpri\ntxreq"),
        "only possible before H/2 upgrade",
    ),
    fails(
        "a preface that is none", conversation("rxpri", "txreq\nrxresp"), "Received invalid preface"
    ),
    fails(
        "an upgrade that nobody asked for",
        conversation("rxreq\nupgrade", "txreq\nrxresp"),
        "Req misses",
    ),
    fails(
        "the connection ends",
        streams("rxreq", "txreq\nrxresp"),
        "could not get frame header",
    ),
    passes(
        "the connection ends, and may",
        conversation(
            "stream 1 {\nrxreq\n} -run",
            "non_fatal\nstream 1 {\ntxreq\nrxresp\nexpect resp.status == <undef>\n} -run",
        ),
    ),
    passes(
        "streams side by side",
        conversation(
            "stream 1 {\nrxreq\n} -start\nstream 3 {\nrxreq\n} -run\nstream 1 -wait\n"
            "stream 3 {\ntxresp\n} -run\nstream 1 {\ntxresp\n} -run",
            "stream 1 {\ntxreq\nrxresp\n} -start\nstream 3 {\ntxreq\nrxresp\n} -run\n"
            "stream 1 -wait",
        ),
    ),
    passes(
        "numbers by themselves",
        conversation(
            "loop 3 {\nstream next {\nrxreq\ntxresp\n} -run\n}",
            "loop 2 {\nstream next {\ntxreq\nrxresp\n} -run\n}\nstream 5 {\ntxreq\nrxresp\n} -run",
        ),
    ),
]
