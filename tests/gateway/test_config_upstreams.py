"""The configuration of upstreams and of the admin listener: what it may be, and what not."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.net.certificates import write_pems

from holdfast.backends.upstream_config import ServerConfig, UpstreamConfig
from holdfast.core.errors import ConfigurationError
from holdfast.gateway.admin.guard import AdminConfig
from holdfast.gateway.config import parse

ECHO = '[[listener]]\nurl = "tcp://127.0.0.1:1"\nbackend = "echo"\ndurability = "memory"\n'
TCP = '[[upstream]]\nname = "u"\nservers = ["tcp://a:1"]\n'
TELNET = '[[upstream]]\nname = "u"\nservers = ["telnet://a"]\n'


def upstream(lines: str) -> str:
    return f'{ECHO}[[upstream]]\nname = "u"\n{lines}'


def listener(url: str, backend: str, name: str = "u") -> str:
    return (
        f'[[listener]]\nurl = "{url}"\nbackend = "{backend}"\nupstream = "{name}"\n'
        'durability = "memory"\n'
    )


def test_everything_can_be_set(tmp_path: Path) -> None:
    config = parse(
        listener("telnet://127.0.0.1:1", "tcp")
        + f"""
        [[upstream]]
        name = "u"
        servers = ["telnet://a", {{ url = "telnets://b:1", weight = 3 }}]
        balance = "least_connections"
        away = "pause"
        check = true
        ca = "ca.pem"
        [admin]
        listen = "unix:{tmp_path}/admin"
        """
    )
    (found,) = config.upstream
    assert found == UpstreamConfig(
        "u",
        ("telnet://a", ServerConfig("telnets://b:1", 3)),
        balance="least_connections",
        away="pause",
        check=True,
        ca="ca.pem",
    )
    assert [(str(one.address), one.weight) for one in found.all_servers] == [
        ("telnet://a:23", 1),
        ("telnets://b:1", 3),
    ]
    assert (found.secure, found.telnet) == (True, True)
    assert config.admin == AdminConfig(listen=f"unix:{tmp_path}/admin")


def test_a_stream_keeps_nothing_and_needs_no_store() -> None:
    text = TCP + listener("tcp://127.0.0.1:1", "stream")
    assert parse(text.replace('durability = "memory"\n', "")).store.path == ""


RIGHT: dict[str, str] = {
    "tcp-on-tcp": TCP + listener("tcp://127.0.0.1:1", "tcp"),
    "telnet-on-ws": TELNET + listener("ws://127.0.0.1:1", "tcp"),
    "stream-on-unix": TCP + listener("unix:x", "stream"),
    "bytes-on-ws": TCP + 'content = "bytes"\n' + listener("ws://127.0.0.1:1", "tcp"),
    "charset-of-a-server": TELNET + 'charset = "koi8-r"\n' + listener("tcp://a:1", "tcp"),
    "charset-of-clients": TELNET
    + listener("telnet://a:1", "tcp")
    + '\ncharset = "auto"\ncharset_fallback = "cp437"\n',
    "unix-and-tcp": upstream('servers = ["unix:x", "tcp://a:1", "tls://a:1"]'),
}


@pytest.mark.parametrize("text", RIGHT.values(), ids=RIGHT)
def test_what_is_right(text: str) -> None:
    parse(text)


WRONG: dict[str, tuple[str, str]] = {
    "no-name": (
        f'{ECHO}[[upstream]]\nservers = ["tcp://a:1"]',
        "upstream[0].name: expected a value, found none",
    ),
    "bad-name": (
        f'{ECHO}[[upstream]]\nname = "a b"\nservers = ["tcp://a:1"]',
        "upstream[0].name: expected 1 to 64 letters, digits, '.', '_' or '-', found 'a b'",
    ),
    "same-name": (TCP + TCP + ECHO, "upstream[1].name: another upstream is called 'u'"),
    "no-servers": (
        upstream("servers = []"),
        "upstream[0].servers: expected at least one server, found none",
    ),
    "no-address": (
        upstream('servers = ["a:1"]'),
        "upstream[0].servers[0]: 'a:1': expected one of tcp, tls, unix, ws, wss, telnet, telnets"
        " before the first colon",
    ),
    "websocket": (
        upstream('servers = ["ws://a:1"]'),
        "upstream[0].servers[0]: expected one of tcp, telnet, telnets, tls, unix, found 'ws://a:1'",
    ),
    "mixed": (
        upstream('servers = ["telnet://a", "tcp://a:1"]'),
        "upstream[0].servers[1]: expected one of telnet, telnets, found 'tcp://a:1'",
    ),
    "mixed-the-other-way": (
        upstream('servers = ["unix:x", "telnet://a"]'),
        "upstream[0].servers[1]: expected one of tcp, tls, unix, found 'telnet://a'",
    ),
    "port-0": (
        upstream('servers = ["tcp://a:0"]'),
        "upstream[0].servers[0]: expected a port above 0, found 'tcp://a:0'",
    ),
    "twice": (
        upstream('servers = ["tcp://a:1", { url = "tcp://a:1" }]'),
        "upstream[0].servers[1]: 'tcp://a:1' stands there twice",
    ),
    "weight-0": (
        upstream('servers = [{ url = "tcp://a:1", weight = 0 }]'),
        "upstream[0].servers[0].weight: expected 1 to 1000, found 0",
    ),
    "unknown-balance": (
        upstream('servers = ["tcp://a:1"]\nbalance = "fair"'),
        "upstream[0].balance: expected 'hash', 'least_connections', 'random_of_two' or"
        " 'round_robin', found 'fair'",
    ),
    "ca-without-tls": (
        upstream('servers = ["tcp://a:1"]\nca = "x"'),
        "upstream[0].ca: expected only for tls and telnets servers, found one",
    ),
    "ready-below-0": (
        upstream('servers = ["tcp://a:1"]\nready = -1'),
        "upstream[0].ready: expected 0 to 1000, found -1",
    ),
    "ready-by-hash": (
        upstream('servers = ["tcp://a:1"]\nready = 2\nbalance = "hash"'),
        "upstream[0].ready: expected 0, because balance = 'hash' chooses a server by the client;"
        " found 2",
    ),
    "ready-for-whom": (
        upstream('servers = ["tcp://a:1"]\nready = 2\nsend_proxy = 1'),
        "upstream[0].ready: expected 0, because send_proxy says at once who the client is; found 2",
    ),
    "telnet-as-bytes": (
        upstream('servers = ["telnet://a"]\ncontent = "bytes"'),
        "upstream[0].content: expected 'lines' for telnet, found 'bytes'",
    ),
    "charset-of-lines": (
        upstream('servers = ["tcp://a:1"]\ncharset = "koi8-r"'),
        "upstream[0].charset: expected only for telnet and telnets, found for tcp",
    ),
    "charset-of-a-page": (
        TELNET + listener("ws://a:1", "tcp") + '\ncharset_fallback = "koi8-r"',
        "listener[0].charset_fallback: expected only for telnet and telnets, found for ws",
    ),
    "telnet-of-lines": (
        TCP + listener("tcp://a:1", "tcp") + '\ntelnet = { refuse = ["naws"] }',
        "listener[0].telnet: expected only for telnet and telnets, found for tcp",
    ),
    "telnet-option-refused-and-offered": (
        TELNET
        + listener("telnet://a:1", "tcp")
        + '\ntelnet = { refuse = ["sga"], offer = ["sga"] }',
        "listener[0].telnet.offer: expected options that are not in listener[0].telnet.refuse,"
        " found 'sga'",
    ),
    "telnet-option-that-is-none": (
        TELNET + listener("telnet://a:1", "tcp") + '\ntelnet = { refuse = ["echo"] }',
        "listener[0].telnet.refuse[0]: expected 'binary', 'charset', 'eor', 'gmcp', 'linemode',"
        " 'naws', 'new-environ', 'sga' or 'ttype', found 'echo'",
    ),
    "mccp-of-lines": (
        TCP + listener("tcp://a:1", "tcp") + "\nmccp = [2]",
        "listener[0].mccp: expected only for telnet and telnets, found for tcp",
    ),
    "mxp-of-a-servers-text": (
        TELNET + listener("telnet://a:1", "tcp") + "\nmxp = true",
        "listener[0].mxp: expected only with an application, or an upstream with mxp; found with"
        " backend = 'tcp'",
    ),
    "starttls-without-a-certificate": (
        TELNET + listener("telnet://a:1", "tcp") + '\nstarttls = "offered"',
        "listener[0].certificate: expected a certificate for starttls, found none",
    ),
    "starttls-in-tls": (
        TELNET + listener("telnets://a:1", "tcp") + '\nstarttls = "required"',
        "listener[0].starttls: expected only for telnet, found for telnets",
    ),
    "address-for-lines": (
        upstream('servers = ["tcp://a:1"]\nsend_address = true'),
        "upstream[0].send_address: expected only for telnet and telnets, found for tcp",
    ),
    "mssp-without-a-name": (
        TELNET + listener("telnet://a:1", "tcp") + '\nmssp = { GENRE = "None" }',
        "listener[0].mssp: expected a NAME, found GENRE",
    ),
    "charset-without-ascii": (
        upstream('servers = ["telnet://a"]\ncharset = "UTF-16"'),
        "upstream[0].charset: expected 'auto' or a character set that Python knows and that"
        " contains ASCII, as in 'KOI8-R', found 'UTF-16'",
    ),
    "charset-fallback-unknown": (
        upstream('servers = ["telnet://a"]\ncharset_fallback = "auto"'),
        "upstream[0].charset_fallback: expected a character set that Python knows and that"
        " contains ASCII, as in 'KOI8-R', found 'auto'",
    ),
    "charset-fixed-with-a-fallback": (
        upstream('servers = ["telnet://a"]\ncharset = "gbk"\ncharset_fallback = "big5"'),
        "upstream[0].charset_fallback: expected only with charset = 'auto', found with 'gbk'",
    ),
    "no-upstream": (
        listener("tcp://127.0.0.1:1", "tcp"),
        "listener[0].upstream: expected the name of an [[upstream]] (none is configured), found"
        " 'u'",
    ),
    "another-upstream": (
        TCP + listener("tcp://127.0.0.1:1", "tcp", "v"),
        "listener[0].upstream: expected the name of an [[upstream]] ('u'), found 'v'",
    ),
    "upstream-of-an-echo": (
        TCP + listener("tcp://127.0.0.1:1", "echo"),
        "listener[0].upstream: expected only for the backends 'tcp' and 'stream', found it for"
        " 'echo'",
    ),
    "stream-of-a-websocket": (
        TCP + listener("ws://127.0.0.1:1", "stream"),
        "listener[0].backend: 'stream' passes bytes from tcp, tls and unix to tcp, tls and unix;"
        " found ws to 'tcp://a:1'",
    ),
    "stream-to-telnet": (
        TELNET + listener("tcp://127.0.0.1:1", "stream"),
        "listener[0].backend: 'stream' passes bytes from tcp, tls and unix to tcp, tls and unix;"
        " found tcp to 'telnet://a'",
    ),
    "bytes-to-a-terminal": (
        TCP + 'content = "bytes"\n' + listener("telnet://127.0.0.1:1", "tcp"),
        "listener[0].upstream: expected a listener on ws or wss, because the content of 'u' is"
        " 'bytes'; found telnet",
    ),
    "app-with-a-backend-s-name": (
        '[link]\nlisten = "unix:x"\n[[listener]]\nurl = "tcp://127.0.0.1:1"\napp = "tcp:u"\n'
        'durability = "memory"\n',
        "listener[0].app: expected another name than 'tcp:u', which is a backend's",
    ),
    "admin-elsewhere": (
        f'{ECHO}[admin]\nlisten = "tcp://0.0.0.0:1"',
        "admin.token_file: expected a token (or HOLDFAST_ADMIN_TOKEN), because 'tcp://0.0.0.0:1'"
        " can be reached from elsewhere; found none",
    ),
    "admin-on-a-websocket": (
        f'{ECHO}[admin]\nlisten = "ws://127.0.0.1:1"',
        "admin.listen: expected a tcp://, tls:// or unix: address, found 'ws://127.0.0.1:1'",
    ),
    "admin-nowhere": (
        f'{ECHO}[admin]\ntoken_file = "x"',
        "admin.listen: expected an address, found none",
    ),
    "admin-without-certificate": (
        f'{ECHO}[admin]\nlisten = "tls://127.0.0.1:1"',
        "admin.certificate: expected one for tls, found none",
    ),
    "admin-with-a-certificate-too-many": (
        f'{ECHO}[admin]\nlisten = "tcp://127.0.0.1:1"\ncertificate = {{ cert = "x", key = "y" }}',
        "admin.certificate: expected none for tcp, found one",
    ),
    "admin-s-token-is-missing": (
        f'{ECHO}[admin]\nlisten = "tcp://127.0.0.1:1"\ntoken_file = "/nowhere/at/all"',
        "admin.token_file: /nowhere/at/all: expected a file with a token: [Errno 2] No such file"
        " or directory: '/nowhere/at/all'",
    ),
    "admin-with-an-unknown-key": (
        f'{ECHO}[admin]\nlisten = "tcp://127.0.0.1:1"\ntoken = "x"',
        "admin.token: not a known key",
    ),
}


@pytest.mark.parametrize(("text", "message"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said(monkeypatch: pytest.MonkeyPatch, text: str, message: str) -> None:
    monkeypatch.delenv("HOLDFAST_ADMIN_TOKEN", raising=False)
    with pytest.raises(ConfigurationError) as caught:
        parse(text)
    assert str(caught.value) == message


def test_an_admin_listener_over_tls(tmp_path: Path) -> None:
    pems = write_pems(tmp_path)
    cert, key = pems.certificate.cert, pems.certificate.key
    config = parse(
        f'{ECHO}[admin]\nlisten = "tls://127.0.0.1:1"\n'
        f'certificate = {{ cert = "{cert}", key = "{key}" }}'
    )
    assert config.admin.certificate == pems.certificate
