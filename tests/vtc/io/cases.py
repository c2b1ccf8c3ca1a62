"""Clients and servers with TLS."""

from __future__ import annotations

from tests.vtc.cases import conversation, fails, passes

ANSWERS = "rxreq\ntxresp -body hello"
ASKS = "txreq\nrxresp\nexpect resp.body == hello"
OWN_AUTHORITY = "ca=${s1_cert} sni=localhost"


def encrypted(server: str, client: str, *, of_server: str = "", of_client: str = "") -> str:
    """A conversation with TLS, with words for the two sides."""
    plain = conversation(server, client)
    return plain.replace("server s1", f'server s1 -tls "{of_server}"').replace(
        "client c1", f'client c1 -tls "{of_client}"'
    )


def with_authority(script: str) -> str:
    """A script with `ca.pem` and, signed by it, `me.pem` in the test's directory."""
    return (
        """shell {
    exec 2>log
    new="openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
    $new -x509 -days 2 -subj /CN=authority -keyout ca.key -out ca.pem
    $new -subj /CN=me -keyout me.key -out me.csr
    openssl x509 -req -in me.csr -CA ca.pem -CAkey ca.key -set_serial 1 -days 2 -out me.crt
    cat me.key me.crt >me.pem
}
"""
        + script
    )


TLS = [
    passes("a request", encrypted(ANSWERS, ASKS)),
    passes(
        "what was agreed",
        encrypted(
            "rxreq\nexpect tls.version == TLSv1.3\nexpect tls.alpn == <undef>\ntxresp",
            "txreq\nrxresp\nexpect tls.version == TLSv1.3\nexpect tls.cipher ~ TLS_\n"
            "expect tls.subject == <undef>",
        ),
    ),
    passes(
        "an older version",
        encrypted(ANSWERS, ASKS + "\nexpect tls.version == TLSv1.2", of_client="version=1.2"),
    ),
    fails(
        "no common version",
        encrypted(ANSWERS, ASKS, of_client="version=1.2", of_server="version=1.3"),
        "TLS handshake failed",
    ),
    passes(
        "a protocol",
        encrypted(
            ANSWERS,
            ASKS + "\nexpect tls.alpn == http/1.1",
            of_client="alpn=h2,http/1.1",
            of_server="alpn=http/1.1",
        ),
    ),
    passes(
        "a certificate that is checked",
        encrypted(ANSWERS, ASKS + "\nexpect tls.subject == localhost", of_client=OWN_AUTHORITY),
    ),
    fails(
        "another name",
        encrypted(ANSWERS, ASKS, of_client=OWN_AUTHORITY.replace("localhost", "example")),
        "Hostname mismatch",
    ),
    fails(
        "another authority",
        with_authority(encrypted(ANSWERS, ASKS, of_client="ca=ca.pem sni=localhost")),
        "certificate verify failed",
    ),
    passes(
        "both are checked",
        with_authority(
            encrypted(
                "rxreq\nexpect tls.subject == me\ntxresp -body hello",
                ASKS,
                of_server="ca=ca.pem",
                of_client=f"{OWN_AUTHORITY} cert=me.pem",
            )
        ),
    ),
    passes(
        "a key of its own file",
        with_authority(
            encrypted(
                ANSWERS,
                ASKS + "\nexpect tls.subject == me",
                of_server="cert=me.crt key=me.key",
                of_client="ca=ca.pem sni=me",
            ).replace("sni=me", "")
        ),
    ),
    fails(
        "a client without a certificate",
        with_authority(encrypted(ANSWERS, ASKS, of_server="ca=ca.pem")),
        "peer did not return a certificate",
    ),
    passes(
        "more than fits in one record",
        encrypted(
            "rxreq\ntxresp -bodylen 200000",
            "txreq -bodylen 100000\nrxresp\nexpect resp.bodylen == 200000",
        ),
    ),
    passes(
        "the end",
        encrypted(
            "rxreq\ntxresp -nolen -body abc", "txreq\nrxresp\nexpect resp.body == abc\nexpect_close"
        ),
    ),
    passes("half an end", encrypted(ANSWERS, "txreq\nshutdown -write\nrxresp")),
    passes(
        "again",
        encrypted(ANSWERS, ASKS)
        .replace("server s1", "server s1 -repeat 2")
        .replace("client c1", "client c1 -repeat 2"),
    ),
    passes(
        "HTTP/2",
        encrypted(
            "stream 1 {\nrxreq\ntxresp -body hello\n} -run",
            "stream 1 {\ntxreq\nrxresp\nexpect resp.body == hello\n} -run\nexpect tls.alpn == h2",
            of_server="alpn=h2",
            of_client="alpn=h2",
        ),
    ),
    fails(
        "a PROXY header comes first, and a server does not expect one",
        encrypted(ANSWERS, ASKS).replace(
            "client c1", 'client c1 -proxy1 "192.0.2.1:1 192.0.2.2:2"'
        ),
        "wrong version number",
        "2:1",
    ),
    fails(
        "a plain server",
        conversation('recv 5\nsend "HTTP/1.1 400 No\\r\\n\\r\\n"', ASKS).replace(
            "client c1", 'client c1 -tls ""'
        ),
        "wrong version number",
        "6:1",
    ),
    fails(
        "a plain client",
        conversation(ANSWERS, ASKS).replace("server s1", 'server s1 -tls ""'),
        "http request",
        "2:1",
    ),
    fails(
        "a word that is none",
        encrypted(ANSWERS, ASKS, of_client="foo=1"),
        "-tls: unknown word 'foo=1'",
    ),
    fails(
        "a word without a value",
        encrypted(ANSWERS, ASKS, of_server="alpn"),
        "-tls: unknown word 'alpn'",
        "2:17",
    ),
    fails(
        "a version that is none",
        encrypted(ANSWERS, ASKS, of_client="version=2"),
        "-tls: version is 1.2 or 1.3",
    ),
    fails(
        "a certificate that is not there",
        encrypted(ANSWERS, ASKS, of_server="cert=none"),
        "No such file",
    ),
]
