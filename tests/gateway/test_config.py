"""The configuration: what it may be, and what is said of everything else."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast.backends import link
from holdfast.backends.link.server_config import LinkConfig
from holdfast.core.errors import ConfigurationError
from holdfast.core.limits import Limits
from holdfast.gateway.config import Config, ListenerConfig, load, parse
from holdfast.gateway.store_config import StoreConfig
from holdfast.net.server.bind import BindOptions
from holdfast.net.server.handshake import ProxyOptions
from holdfast.net.tls.options import Certificate, TlsOptions

ECHO = 'backend = "echo"\ndurability = "memory"\n'
LISTENER = f'[[listener]]\nurl = "tcp://127.0.0.1:4001"\n{ECHO}'


def listener(lines: str) -> str:
    """A listener that is right but for these lines."""
    return f"[[listener]]\n{ECHO}{lines}"


def test_everything_can_be_set(tmp_path: Path) -> None:
    text = f"""
        node = "a"

        [store]
        path = "data/sessions.db"
        on_failure = "memory"

        [link]
        listen = "tcp://127.0.0.1:4500"
        secret = "correct horse battery"

        [limits.session]
        queue_messages_max = 8
        detached_seconds_max = 60

        [[listener]]
        url = "wss://0.0.0.0:8443/ws"
        app = "chat"
        durability = "durable"
        certificate = {{ cert = "cert.pem", key = "key.pem" }}
        origins = ["https://example.org", "https://example.org:8443", "*", "null"]
        page_headers = {{ X-Robots-Tag = "noindex, nofollow", Referrer-Policy = "" }}
        pages = "{tmp_path}"

        [[listener]]
        url = "telnet://[::1]:4000"

        [[listener]]
        url = "telnets://[::]:4443"
        bind = {{ dual_stack = true, reuse_port = true }}
        proxy = {{ trust = ["10.0.0.0/8", "unix"], required = false, others = "direct" }}
        [listener.tls]
        certificates = [{{ cert = "a.pem", key = "a.key", passphrase_env = "SECRET" }}]
        minimum = "1.3"
        client_certificates = "optional"
        client_ca = "clients.pem"
        alpn = ["telnet"]
        unknown_names = "refuse"
        session_tickets = false
    """
    assert parse(text) == Config(
        node="a",
        store=StoreConfig(path="data/sessions.db", on_failure="memory"),
        link=LinkConfig(listen="tcp://127.0.0.1:4500", secret="correct horse battery"),
        limits=Limits().but(session={"queue_messages_max": 8, "detached_seconds_max": 60.0}),
        listener=(
            ListenerConfig(
                url="wss://0.0.0.0:8443/ws",
                backend=link.Config("chat"),
                durability="durable",
                certificate=Certificate("cert.pem", "key.pem"),
                origins=("https://example.org", "https://example.org:8443", "*", "null"),
                pages=str(tmp_path),
                page_headers={"X-Robots-Tag": "noindex, nofollow", "Referrer-Policy": ""},
            ),
            ListenerConfig(url="telnet://[::1]:4000"),
            ListenerConfig(
                url="telnets://[::]:4443",
                bind=BindOptions(dual_stack=True, reuse_port=True),
                proxy=ProxyOptions(trust=("10.0.0.0/8", "unix"), required=False, others="direct"),
                tls=TlsOptions(
                    certificates=(Certificate("a.pem", "a.key", passphrase_env="SECRET"),),
                    minimum="1.3",
                    client_certificates="optional",
                    client_ca="clients.pem",
                    alpn=("telnet",),
                    unknown_names="refuse",
                    session_tickets=False,
                ),
            ),
        ),
    )


def test_the_example_in_the_module_is_right_but_for_its_files() -> None:
    import holdfast.gateway.config as module

    assert module.__doc__ is not None
    example = module.__doc__.partition("```toml\n")[2].partition("```")[0]
    with pytest.raises(ConfigurationError) as caught:
        parse(example)
    assert str(caught.value) == "listener[1].pages: expected a folder, found 'site'"


WRONG: dict[str, tuple[str, str]] = {
    "not-toml": (
        "listener",
        "not TOML: Expected '=' after a key in a key/value pair (at end of document)",
    ),
    "nothing": ("", "listener: expected a value, found none"),
    "no-listener": ("listener = []", "listener: expected at least one [[listener]], found none"),
    "one-bracket": (
        '[listener]\nurl = "tcp://127.0.0.1:1"',
        "listener: expected an array, found a table",
    ),
    "unknown-key": (f"nodes = 3\n{LISTENER}", "nodes: not a known key"),
    "unknown-key-in-a-listener": (
        listener('url = "tcp://127.0.0.1:1"\nprotocol = "x"'),
        "listener[0].protocol: not a known key",
    ),
    "unknown-key-in-limits": (
        f"[limits.session]\nqueue_max = 3\n{LISTENER}",
        "limits.session.queue_max: not a known key",
    ),
    "unknown-group-of-limits": (
        f"[limits.sessions]\nqueue_messages_max = 3\n{LISTENER}",
        "limits.sessions: not a known key",
    ),
    "wrong-type": (
        listener("url = 4000"),
        "listener[0].url: expected a string, found the integer 4000",
    ),
    "wrong-type-in-limits": (
        f'[limits.session]\nqueue_messages_max = "many"\n{LISTENER}',
        "limits.session.queue_messages_max: expected an integer, found the string 'many'",
    ),
    "a-fraction-of-a-message": (
        f"[limits.session]\nqueue_messages_max = 1.5\n{LISTENER}",
        "limits.session.queue_messages_max: expected an integer, found the float 1.5",
    ),
    "time-as-text": (
        f'[limits.connection]\nidle_seconds_max = "5m"\n{LISTENER}',
        "limits.connection.idle_seconds_max: expected a number, found the string '5m'",
    ),
    "truth-as-time": (
        f"[limits.connection]\nidle_seconds_max = true\n{LISTENER}",
        "limits.connection.idle_seconds_max: expected a number, found the boolean True",
    ),
    "a-limit-that-is-no-table": (
        f"[limits]\nsession = 3\n{LISTENER}",
        "limits.session: expected a table, found the integer 3",
    ),
    "limit-0": (
        f"[limits.link]\nwindow_bytes_max = 0\n{LISTENER}",
        "limits.link.window_bytes_max: expected a number above 0, found 0",
    ),
    "limit-below-0": (
        f"[limits.session]\nwindow_bytes_max = -1\n{LISTENER}",
        "limits.session.window_bytes_max: expected a number above 0, found -1",
    ),
    "limit-nan": (
        f"[limits.connection]\nidle_seconds_max = nan\n{LISTENER}",
        "limits.connection.idle_seconds_max: expected a number above 0, found nan",
    ),
    "no-limit": (
        f"[limits.connection]\nidle_seconds_max = inf\n{LISTENER}",
        "limits.connection.idle_seconds_max: expected a number above 0, found inf",
    ),
    "wrong-choice": (
        '[[listener]]\nurl = "tcp://127.0.0.1:1"\ndurability = "forever"',
        "listener[0].durability: expected 'durable', 'fast' or 'memory', found 'forever'",
    ),
    "wrong-choice-of-two": (
        f'[store]\non_failure = "panic"\n{LISTENER}',
        "store.on_failure: expected 'memory' or 'refuse', found 'panic'",
    ),
    "wrong-type-in-a-list": (
        listener('url = "ws://127.0.0.1:1"\norigins = ["https://a.example", 3]'),
        "listener[0].origins[1]: expected a string, found the integer 3",
    ),
    "text-for-a-list": (
        listener('url = "ws://127.0.0.1:1"\norigins = "*"'),
        "listener[0].origins: expected an array, found the string '*'",
    ),
    "a-secret-of-the-wrong-type": (
        f"[link]\nsecret = 12345\n{LISTENER}",
        "link.secret: expected a string, found an integer",
    ),
    "a-secret-in-the-wrong-place": (
        f'store = [{{ secret = "correct horse battery" }}]\n{LISTENER}',
        "store: expected a table, found an array",
    ),
    "half-a-certificate": (
        listener('url = "tls://127.0.0.1:1"\ncertificate = { cert = "c.pem" }'),
        "listener[0].certificate.key: expected a value, found none",
    ),
    "text-for-a-certificate": (
        listener('url = "tls://127.0.0.1:1"\ncertificate = "c.pem"'),
        "listener[0].certificate: expected a table, found the string 'c.pem'",
    ),
    # What types cannot say.
    "no-scheme": (
        listener('url = "127.0.0.1:4000"'),
        "listener[0].url: '127.0.0.1:4000': expected one of tcp, tls, unix, ws, wss, telnet,"
        " telnets before the first colon",
    ),
    "no-host": (
        listener('url = "tcp://:4000"'),
        "listener[0].url: 'tcp://:4000': expected a host, as in tcp://127.0.0.1:4000",
    ),
    "no-port": (
        listener('url = "tcp://127.0.0.1"'),
        "listener[0].url: 'tcp://127.0.0.1': expected a port from 0 to 65535 after the host",
    ),
    "no-such-port": (
        listener('url = "tcp://127.0.0.1:70000"'),
        "listener[0].url: 'tcp://127.0.0.1:70000': expected a port from 0 to 65535 after the host",
    ),
    "tls-without-a-certificate": (
        f'{LISTENER}[[listener]]\nurl = "wss://127.0.0.1:1/"\n{ECHO}',
        "listener[1].certificate: expected a certificate for wss, found none",
    ),
    "a-certificate-without-tls": (
        listener('url = "ws://127.0.0.1:1"\ncertificate = { cert = "c", key = "k" }'),
        "listener[0].certificate: expected none for ws, found one",
    ),
    "fast-without-a-store": (
        '[[listener]]\nurl = "tcp://127.0.0.1:1"\nbackend = "echo"',
        "store.path: expected a path, because durability of [[listener]] 1 is 'fast'; found none",
    ),
    "durable-without-a-store": (
        '[[listener]]\nurl = "tcp://127.0.0.1:1"\nbackend = "echo"\ndurability = "durable"',
        "store.path: expected a path, because durability of [[listener]] 1 is 'durable'; found"
        " none",
    ),
    "link-without-an-address": (
        '[[listener]]\nurl = "tcp://127.0.0.1:1"\ndurability = "memory"',
        "link.listen: expected an address, because a listener has the backend 'link'; found none",
    ),
    "link-at-no-address": (
        f'[link]\nlisten = "here"\n{LISTENER}',
        "link.listen: 'here': expected one of unix, tcp, tls before the first colon",
    ),
    "link-on-a-websocket": (
        f'[link]\nlisten = "ws://127.0.0.1:1"\n{LISTENER}',
        "link.listen: 'ws://127.0.0.1:1': expected one of unix, tcp, tls before the first colon",
    ),
    "link-on-tcp-without-a-secret": (
        f'[link]\nlisten = "tcp://127.0.0.1:1"\n{LISTENER}',
        "link.secret: expected a secret, because link.listen is on TCP; found none",
    ),
    "link-on-tcp-with-a-short-secret": (
        f'[link]\nlisten = "tcp://127.0.0.1:1"\nsecret = "swordfish"\n{LISTENER}',
        "link.secret: expected at least 16 characters, because link.listen is on TCP; found 9",
    ),
    "link-on-tcp-with-a-short-secret-for-one": (
        f'[link]\nlisten = "tcp://127.0.0.1:1"\nsecrets = {{ chat = "" }}\n{LISTENER}',
        "link.secrets.chat: expected at least 16 characters, because link.listen is on TCP;"
        " found 0",
    ),
    "link-on-tls-without-a-certificate": (
        f'[link]\nlisten = "tls://127.0.0.1:1"\nsecret = "{"x" * 16}"\n{LISTENER}',
        "link.certificate: expected a certificate for tls, found none",
    ),
    "an-application-named-like-a-backend": (
        '[link]\nlisten = "unix:/l"\n[[listener]]\nurl = "tcp://127.0.0.1:1"\napp = "echo"\n'
        'durability = "memory"',
        "listener[0].app: expected another name than 'echo', which is a backend's",
    ),
    "certificate-and-tls": (
        listener(
            'url = "tls://127.0.0.1:1"\ncertificate = { cert = "a", key = "b" }\n'
            'tls = { certificates = [{ cert = "a", key = "b" }] }'
        ),
        "listener[0]: expected certificate or tls, found both",
    ),
    "tls-on-tcp": (
        listener('url = "tcp://127.0.0.1:1"\ntls = { certificates = [] }'),
        "listener[0].tls: expected none for tcp, found one",
    ),
    "tls-without-certificates": (
        listener('url = "tls://127.0.0.1:1"\ntls = { minimum = "1.3" }'),
        "listener[0].tls.certificates: expected at least one, found none",
    ),
    "a-version-that-is-none": (
        listener('url = "tls://127.0.0.1:1"\ntls = { minimum = "1.1" }'),
        "listener[0].tls.minimum: expected '1.2' or '1.3', found '1.1'",
    ),
    "client-certificates-without-authorities": (
        listener(
            'url = "tls://127.0.0.1:1"\n[listener.tls]\nclient_certificates = "required"\n'
            'certificates = [{ cert = "a", key = "b" }]'
        ),
        "listener[0].tls.client_ca: expected a file, because client_certificates is 'required';"
        " found none",
    ),
    "a-mode-on-tcp": (
        listener('url = "tcp://127.0.0.1:1"\nbind = { mode = "0660" }'),
        "listener[0].bind.mode: expected none for tcp://127.0.0.1:1, which has no file,"
        " found '0660'",
    ),
    "both-families-on-ipv4": (
        listener('url = "tcp://127.0.0.1:1"\nbind = { dual_stack = true }'),
        "listener[0].bind.dual_stack: expected only for the host [::], found tcp://127.0.0.1:1",
    ),
    "a-proxy-s-network-that-is-none": (
        listener('url = "tcp://127.0.0.1:1"\nproxy = { trust = ["everyone"] }'),
        "listener[0].proxy.trust: expected networks as in '10.0.0.0/8', or 'unix', found"
        " 'everyone': 'everyone' does not appear to be an IPv4 or IPv6 network",
    ),
    "a-proxy-that-trusts-nobody": (
        listener('url = "tcp://127.0.0.1:1"\nproxy = {}'),
        "listener[0].proxy.trust: expected a value, found none",
    ),
    "pages-on-telnet": (
        listener('url = "telnet://127.0.0.1:1"\npages = "/"'),
        "listener[0].pages: expected only for ws and wss, found for telnet",
    ),
    "page-header-with-a-space-in-its-name": (
        listener('url = "ws://127.0.0.1:1"\npage_headers = { "X Y" = "a" }'),
        "listener[0].page_headers: expected a header's name and its value, found 'X Y' and 'a'",
    ),
    "page-header-with-a-line-break-in-its-value": (
        listener('url = "ws://127.0.0.1:1"\npage_headers = { X = "a\\nb" }'),
        "listener[0].page_headers: expected a header's name and its value, found 'X' and 'a\\nb'",
    ),
    "origins-on-tcp": (
        listener('url = "tcp://127.0.0.1:1"\norigins = ["*"]'),
        "listener[0].origins: expected only for ws and wss, found for tcp",
    ),
    "pages-that-are-not-there": (
        listener('url = "ws://127.0.0.1:1"\npages = "/nowhere"'),
        "listener[0].pages: expected a folder, found '/nowhere'",
    ),
    "an-origin-without-scheme": (
        listener('url = "ws://127.0.0.1:1"\norigins = ["*", "example.org"]'),
        "listener[0].origins[1]: expected '*' or an origin as in 'https://example.org',"
        " found 'example.org'",
    ),
    "an-origin-with-a-path": (
        listener('url = "ws://127.0.0.1:1"\norigins = ["https://example.org/"]'),
        "listener[0].origins[0]: expected '*' or an origin as in 'https://example.org',"
        " found 'https://example.org/'",
    ),
}


@pytest.mark.parametrize(("text", "message"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_named_with_its_key(text: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse(text)
    assert str(caught.value) == message


def test_a_file_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "holdfast.toml"
    path.write_text(LISTENER)
    assert load(path) == parse(LISTENER)


FILES: dict[str, tuple[bytes | None, str]] = {
    "missing": (None, "expected a TOML file, found none; `holdfast config --example` prints one"),
    "not-text": (b"\xff\xfe", "expected a TOML file: 'utf-8' codec can't decode byte 0xff"),
    "wrong": (b"node = 3\n", "node: expected a string, found the integer 3"),
    "wrong-together": (b"listener = []\n", "listener: expected at least one [[listener]]"),
    "wrong-in-a-table": (
        b"[[listener]]\nurl = 3\n",
        "[[listener]] 1: url: expected a string, found the integer 3",
    ),
}


@pytest.mark.parametrize(("content", "message"), FILES.values(), ids=FILES)
def test_what_is_wrong_with_a_file_is_said_with_its_name(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    path = tmp_path / "holdfast.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}: {message}")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"expected a TOML file: .*Is a directory"):
        load(tmp_path)
