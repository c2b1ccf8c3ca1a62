"""Scripts that show the commands of a stream, for the manual. No command is declared here."""

from __future__ import annotations

from holdfast.vtc.commands.http.http2 import EXAMPLE as REQUEST
from holdfast.vtc.language.command import Command

CONTINUED = """\
vtest "fields and data in several frames"

server s1 {
    stream 1 {
        rxreq
        txresp -nohdrend -nostrend
        txcont -nohdrend -hdr "one" "1"
        txcont -hdr "two" "2"
        txdata -data "some " -nostrend
        txdata -data "data" -pad "padding"
    } -run
} -start

client c1 -connect ${s1_sock} {
    stream 1 {
        txreq
        rxhdrs
        rxcont -some 2
        expect resp.http.one == 1
        expect resp.http.two == 2
        rxdata -all
        expect frame.padding == 7
        expect resp.body == "some data"
    } -run
} -run
"""

PUSHED = """\
vtest "a promise"

server s1 {
    stream 1 {
        rxreq
        txpush -promised 2 -url "/also"
        txresp
    } -run
} -start

client c1 -connect ${s1_sock} {
    stream 1 {
        txreq
        rxpush
        expect push.id == 2
        expect req.url == "/also"
        rxresp
    } -run
} -run
"""

UPDATED = """\
vtest "windows"

server s1 {
    stream 1 {
        rxreq
        txresp -bodylen 100
        expect stream.peer_window == 65435
        rxwinup
        expect winup.size == 100
        expect stream.peer_window == 65535
    } -run
} -start

client c1 -connect ${s1_sock} {
    stream 1 {
        txreq
        rxresp
        expect stream.window == 65435
        txwinup -size 100
        expect stream.window == 65535
    } -run
} -run

server s1 -wait
"""

FRAMES = """\
vtest "single frames"

server s1 {
    rxpri
    stream 0 {
        txsettings -maxstreams 10 -push false -0x10 1
        txping -data "01234567"
        txprio -stream 3 -weight 20 -ex
        txgoaway -laststream 1 -err ENHANCE_YOUR_CALM -debug "easy"
        sendhex "000000 04 01 00000000"
    } -run
    stream 1 {
        txrst -err CANCEL
    } -run
} -start

client c1 -connect ${s1_sock} {
    txpri
    stream 0 {
        rxsettings
        expect settings.maxstreams == 10
        expect settings.push == false
        rxping
        expect ping.data == "01234567"
        rxprio
        expect prio.weight == 20
        rxgoaway
        expect goaway.err == ENHANCE_YOUR_CALM
        expect goaway.debug == "easy"
        rxframe
        expect frame.type == 4
        expect settings.ack == true
    } -run
    stream 1 {
        rxrst
        expect rst.err == CANCEL
    } -run
} -run
"""

ZIPPED = """\
vtest "a body that is compressed"

server s1 {
    stream 1 {
        rxreq
        txresp -gzipbody "squeezed"
    } -run
} -start

client c1 -connect ${s1_sock} {
    stream 1 {
        txreq
        rxresp
        gunzip
        expect resp.body == "squeezed"
        write_body body
        shell -expect "squeezed" {cat body}
    } -run
} -run
"""

INDEXED = """\
vtest "header compression by hand"

server s1 {
    stream 1 {
        rxreq
        expect req.authority == "www.example.com"
        expect tbl.dec[1].key == ":authority"
        expect tbl.dec.size == 57
        txresp
    } -run
} -start

client c1 -connect ${s1_sock} {
    stream 1 {
        txreq -idxHdr 2 -idxHdr 6 -idxHdr 4 -noadd -litIdxHdr inc 1 huf "www.example.com" \\
            -litHdr not plain "x" huf "y"
        expect tbl.enc.length == 1
        rxresp
    } -run
} -run
"""

COMMANDS: tuple[Command, ...] = ()

__all__ = ["COMMANDS", "CONTINUED", "FRAMES", "INDEXED", "PUSHED", "REQUEST", "UPDATED", "ZIPPED"]
