"""TLS with programs that others have written."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import pytest
import structlog
from tests.net.certificates import AUTHORITY, OTHER_AUTHORITY, issue, write_pems
from tests.net.helpers import Caller, Serving, Stand, call, patience, serving, until
from tests.net.peers import Done, built, run
from tests.programs import need

from holdfast.net.addresses import Address
from holdfast.net.tls.certificates import ServerTls
from holdfast.net.tls.options import Certificate, TlsOptions, Version

REQUEST = b"GET / HTTP/1.0\r\n\r\n"
Setting = Literal["none", "optional", "required"]


class Answer(Stand):
    """Answers as HTTP does, with what was agreed on."""

    def received(self, data: bytes) -> None:
        super().received(data)
        if self.data.endswith(b"\r\n\r\n"):
            found = self.connection.tls
            assert found is not None
            body = f"version={found.version} alpn={found.alpn} subject={found.subject}\n"
            self.connection.write(f"HTTP/1.0 200 OK\r\n\r\n{body}".encode())
            self.connection.close_on()


class Ask(NamedTuple):
    """What a client is to do."""

    address: Address
    authority: str
    version: Version
    pair: Certificate | None = None
    name: str = "localhost"
    alpn: str = ""

    @property
    def where(self) -> str:
        return f"127.0.0.1:{self.address.port}"


async def openssl(ask: Ask, folder: Path) -> Done:
    command = [need("openssl"), "s_client", "-connect", ask.where, "-servername", ask.name]
    command += ["-CAfile", ask.authority, "-verify_return_error", "-quiet", "-ign_eof"]
    command += ["-tls1_2" if ask.version == "1.2" else "-tls1_3"]
    if ask.pair:
        command += ["-cert", ask.pair.cert, "-key", ask.pair.key]
    if ask.alpn:
        command += ["-alpn", ask.alpn]
    return await run(*command, given=REQUEST)


async def curl(ask: Ask, folder: Path) -> Done:
    command = [need("curl"), "-sS", "--cacert", ask.authority, "--tls-max", ask.version]
    command += ["--tlsv1.3"] if ask.version == "1.3" else ["--tlsv1.2"]
    command += ["--connect-to", f"{ask.name}:{ask.address.port}:{ask.where}"]
    if ask.pair:
        command += ["--cert", ask.pair.cert, "--key", ask.pair.key]
    if ask.alpn != "http/1.1":
        command += ["--no-alpn"]
    return await run(*command, f"https://{ask.name}:{ask.address.port}/")


async def go(ask: Ask, folder: Path) -> Done:
    command = [built("tls_client", folder), ask.where, ask.authority, ask.version, ask.name]
    command += [ask.pair.cert, ask.pair.key] if ask.pair else ["", ""]
    command += [ask.alpn] if ask.alpn else []
    return await run(*command)


async def python(ask: Ask, folder: Path) -> Done:
    context = ssl.create_default_context(cafile=ask.authority)
    context.minimum_version = context.maximum_version = (
        ssl.TLSVersion.TLSv1_2 if ask.version == "1.2" else ssl.TLSVersion.TLSv1_3
    )
    if ask.pair:
        context.load_cert_chain(ask.pair.cert, ask.pair.key)
    if ask.alpn:
        context.set_alpn_protocols([ask.alpn])
    try:
        async with call(ask.address, ssl=context, server_hostname=ask.name) as caller:
            await caller.write(REQUEST)
            return Done(0, (await caller.read_all()).decode(), "")
    except (OSError, asyncio.IncompleteReadError) as error:
        return Done(1, "", str(error))


Client = Callable[[Ask, Path], Awaitable[Done]]
CLIENTS: list[Client] = [openssl, curl, go, python]
clients = pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.__name__)
versions = pytest.mark.parametrize("version", get_args(Version))


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tools")


@contextlib.asynccontextmanager
async def answering(folder: Path, **options: Any) -> AsyncIterator[tuple[Serving, Address, str]]:
    """A TLS server on this machine's certificate, its address, and its authority's file."""
    pems = write_pems(folder)
    options.setdefault("certificates", (pems.certificate,))
    if "client_certificates" in options:
        options.setdefault("client_ca", pems.authority)
    async with serving(make=Answer) as server:
        tls = ServerTls(TlsOptions(**options))
        address = await server.listen("tls://127.0.0.1:0", tls)
        yield server, address, pems.authority


SUBJECTS: dict[str, tuple[str, str, str, str]] = {
    "plain": ("Example", "anna", "O=Example,", ",CN=anna"),
    "a-comma-that-would-forge": ("x,CN=admin", "mallory", r"O=x\,CN=admin,", ",CN=mallory"),
    "a-comma-in-a-name": ("Example", "Smith, John", "O=Example,", r",CN=Smith\, John"),
    "every-special-sign": ('a+b"c<d>e;f\\g', "x", 'O=a\\+b\\"c\\<d\\>e\\;f\\\\g,', ",CN=x"),
    "at-the-ends": ("#a ", " b ", "O=\\#a\\ ,", ",CN=\\ b\\ "),
}


@pytest.mark.parametrize(("organization", "name", "begin", "end"), SUBJECTS.values(), ids=SUBJECTS)
async def test_the_words_of_a_subject_are_escaped(
    organization: str, name: str, begin: str, end: str, tmp_path: Path
) -> None:
    """RFC 4514 section 2.4: else a client may let its words say another name."""
    pair = issue(
        tmp_path, "anna@example.org", name="anna", common_name=name, organization=organization
    )
    async with answering(tmp_path, client_certificates="required") as (server, address, authority):
        context = ssl.create_default_context(cafile=authority)
        context.load_cert_chain(pair.cert, pair.key)
        async with call(address, ssl=context, server_hostname="localhost"):
            found = (await server.stand()).connection.tls
    assert found is not None
    assert found.subject.startswith(begin + "OU=")
    assert found.subject.endswith(end)
    assert found.common_name == name
    assert found.shown


@clients
@versions
@pytest.mark.parametrize(
    ("setting", "shown"),
    [("none", False), ("optional", False), ("optional", True), ("required", True)],
)
async def test_clients_connect(
    client: Client, version: Version, setting: Setting, shown: bool, tmp_path: Path, tools: Path
) -> None:
    pair = issue(tmp_path, "anna@example.org", name="anna", common_name="anna") if shown else None
    async with answering(tmp_path, client_certificates=setting) as (_, address, authority):
        done = await client(Ask(address, authority, version, pair), tools)
    assert done.code == 0, done.err
    subject = "O=Example,OU=" if shown else ""
    assert f"version=TLSv{version} alpn= subject={subject}" in done.out
    assert ("CN=anna" in done.out) is shown


@clients
@versions
@pytest.mark.parametrize("fault", ["none", "expired", "another-authority"])
async def test_a_client_without_a_good_certificate_is_refused(
    client: Client, version: Version, fault: str, tmp_path: Path, tools: Path
) -> None:
    pair = None
    if fault != "none":
        other, days = fault == "another-authority", -1 if fault == "expired" else 30
        pair = issue(tmp_path, "a@b.c", name="anna", days=days, other_authority=other)
    with structlog.testing.capture_logs() as logs:
        async with answering(tmp_path, client_certificates="required") as (
            server,
            where,
            authority,
        ):
            done = await client(Ask(where, authority, version, pair), tools)
            assert "version=" not in done.out
            assert done.code != 0 or client is openssl  # which ends with 0 after an alert
            assert server.server.tallies[where].failed == 1
            assert server.stands == []
            await until_departed(server)
    (line,) = (log for log in logs if log["event"] == "handshake failed")
    assert (
        line["why"]
        == {
            "none": "TLS: the peer showed no certificate, and one is required",
            "expired": "TLS: the peer's certificate is not accepted: certificate has expired",
            "another-authority": "TLS: the peer's certificate is not accepted:"
            " unable to get local issuer certificate",
        }[fault]
    )
    assert line["peer"].startswith("127.0.0.1:")


async def until_departed(server: Serving) -> None:
    await until(lambda: not (server.server.pending or server.server.connections))


@clients
@pytest.mark.parametrize(
    ("minimum", "maximum", "asked"), [("1.3", "1.3", "1.2"), ("1.2", "1.2", "1.3")]
)
async def test_a_version_that_is_not_allowed_is_refused(
    client: Client, minimum: Version, maximum: Version, asked: Version, tmp_path: Path, tools: Path
) -> None:
    with structlog.testing.capture_logs() as logs:
        async with answering(tmp_path, minimum=minimum, maximum=maximum) as (_, address, authority):
            done = await client(Ask(address, authority, asked), tools)
            assert "version=" not in done.out
    assert [log["why"] for log in logs if log["event"] == "handshake failed"] == [
        "TLS: the peer offers no version of TLS that is allowed here"
    ]


@clients
@versions
async def test_each_name_has_its_certificate(
    client: Client, version: Version, tmp_path: Path, tools: Path
) -> None:
    """Every client checks the name that it asked for."""
    pairs = issue(tmp_path, "a.example"), issue(tmp_path, "*.b.example", name="b")
    async with answering(tmp_path, certificates=pairs) as (_, address, authority):
        for name in ("a.example", "any.b.example"):
            done = await client(Ask(address, authority, version, name=name), tools)
            assert f"version=TLSv{version}" in done.out, done.err
        for name in ("b.example", "more.than.b.example", "c.example"):
            done = await client(Ask(address, authority, version, name=name), tools)
            if client is not openssl:  # which checks no names
                assert done.code != 0
                assert "version=" not in done.out


@clients
async def test_a_name_that_no_certificate_is_for_may_be_refused(
    client: Client, tmp_path: Path, tools: Path
) -> None:
    with structlog.testing.capture_logs() as logs:
        async with answering(tmp_path, unknown_names="refuse") as (_, address, authority):
            done = await client(Ask(address, authority, "1.3", name="localhost"), tools)
            assert "version=" in done.out, done.err
            done = await client(Ask(address, authority, "1.3", name="c.example"), tools)
            assert "version=" not in done.out
            assert "unrecognized" in (done.err + done.out).lower()
    assert [log["why"] for log in logs if log["event"] == "handshake failed"] == [
        "TLS: the peer asks for a name that no certificate is for"
    ]


@pytest.mark.parametrize("client", [openssl, go, python], ids=lambda client: client.__name__)
@pytest.mark.parametrize("ours", [("b", "a"), ()])
async def test_a_protocol_is_agreed_on(
    client: Client, ours: tuple[str, ...], tmp_path: Path, tools: Path
) -> None:
    async with answering(tmp_path, alpn=ours) as (_, address, authority):
        done = await client(Ask(address, authority, "1.3", alpn="a"), tools)
    assert f"alpn={'a' if ours else ''} " in done.out


async def test_ciphers_can_be_chosen(tmp_path: Path) -> None:
    cipher = "ECDHE-ECDSA-AES256-GCM-SHA384"
    async with answering(tmp_path, maximum="1.2", ciphers=cipher) as (server, address, authority):
        context = ssl.create_default_context(cafile=authority)
        async with call(address, ssl=context, server_hostname="localhost"):
            stand = await server.stand()
            assert stand.connection.tls is not None
            assert stand.connection.tls.cipher == cipher


@versions
@pytest.mark.parametrize("tickets", [True, False])
async def test_sessions_are_resumed_where_tickets_are_given(
    version: Version, tickets: bool, tmp_path: Path
) -> None:
    async with answering(tmp_path, session_tickets=tickets) as (_, address, authority):
        session = str(tmp_path / "session")
        command = [need("openssl"), "s_client", "-connect", f"127.0.0.1:{address.port}"]
        command += ["-CAfile", authority, "-ign_eof"]
        command += ["-tls1_2" if version == "1.2" else "-tls1_3"]
        first = await run(*command, "-sess_out", session, given=REQUEST)
        assert "200 OK" in first.out
        assert ("TLS session ticket:" in first.out) is tickets
        if tickets:
            second = await run(*command, "-sess_in", session, given=REQUEST)
            assert "200 OK" in second.out
            assert "\nReused, " in second.out


# --- what is no TLS


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"GET / HTTP/1.0\r\n\r\n", "TLS: expected TLS, found a plain HTTP request"),
        (b"hello, is there anybody?\r\n", "TLS: expected TLS, found something else"),
        (b"\x16\x03\x01\x00\x05\xff\xff\xff\xff\xff", None),
        (b"\x16\x03\x01\xff\xff" + bytes(200), None),
    ],
    ids=["http", "text", "broken-hello", "oversized-record"],
)
async def test_garbage_instead_of_tls_is_told(data: bytes, why: str | None, tmp_path: Path) -> None:
    with structlog.testing.capture_logs() as logs:
        async with answering(tmp_path) as (server, address, _):
            async with call(address) as caller:
                await caller.write(data)
                with contextlib.suppress(ConnectionResetError):
                    await caller.read_all()
            await until_departed(server)
            assert server.server.tallies[address].failed == 1
    (line,) = (log for log in logs if log["event"] == "handshake failed")
    assert line["why"] == why or (why is None and line["why"].startswith("TLS: "))


async def test_a_client_that_does_not_know_our_authority_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "other.pem").write_text(OTHER_AUTHORITY)
    with structlog.testing.capture_logs() as logs:
        async with answering(tmp_path) as (server, address, _):
            done = await openssl(Ask(address, str(tmp_path / "other.pem"), "1.3"), tmp_path)
            assert "unable to get local issuer certificate" in done.err
            await until_departed(server)
    assert [log["why"] for log in logs if log["event"] == "handshake failed"] == [
        "TLS: the peer does not know the authority of our certificate"
    ]


async def test_a_client_that_leaves_during_the_handshake_is_told_of(tmp_path: Path) -> None:
    with structlog.testing.capture_logs() as logs:
        async with answering(tmp_path) as (server, address, _):
            async with call(address) as caller:
                await caller.write(b"\x16\x03\x01")
            await until_departed(server)
    assert [log["why"] for log in logs if log["event"] == "handshake failed"] == [
        "TLS: the peer hung up during the handshake"
    ]


# --- replacing certificates


async def test_certificates_are_replaced_under_load_and_no_connection_breaks(
    tmp_path: Path,
) -> None:
    """Clients that come all the time, and others that stay and talk all the time."""
    made = issue(tmp_path, "localhost", name="served", common_name="first")
    (tmp_path / "ca.pem").write_text(AUTHORITY)
    context = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    seen: list[str] = []
    over = asyncio.Event()
    tls = ServerTls(TlsOptions(certificates=(made,)))

    async with serving(make=Echoing) as server:
        address = await server.listen("tls://127.0.0.1:0", tls)

        async def stay() -> None:
            async with call(address, ssl=context, server_hostname="localhost") as caller:
                while not over.is_set():
                    await caller.write(b"x" * 1000)
                    assert await caller.read(1000) == b"x" * 1000

        async def come_and_go() -> None:
            while not over.is_set():
                async with call(address, ssl=context, server_hostname="localhost") as caller:
                    found = caller.writer.get_extra_info("peercert")
                    seen.append(dict(part[0] for part in found["subject"]).get("commonName", ""))
                    await caller.write(b"y")
                    assert await caller.read(1) == b"y"

        async with patience(), asyncio.TaskGroup() as tasks:
            for _ in range(4):
                tasks.create_task(stay())
                tasks.create_task(come_and_go())
            for name in ("second", "third", "fourth"):
                count = len(seen)
                await until(lambda count=count: len(seen) >= count + 5)  # type: ignore[misc]
                issue(tmp_path, "localhost", name="served", common_name=name)
                server.server.reload()
            await until(lambda: seen[-4:] == ["fourth"] * 4)
            over.set()
        assert list(dict.fromkeys(seen)) == ["first", "second", "third", "fourth"]
        assert server.server.tallies[address].failed == 0


async def test_tls_is_turned_on_and_off_and_connections_keep_theirs(tmp_path: Path) -> None:
    made = issue(tmp_path, "localhost", name="served")
    (tmp_path / "ca.pem").write_text(AUTHORITY)
    context = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    secured: dict[str, Any] = {"ssl": context, "server_hostname": "localhost"}
    tls = ServerTls(None)

    async def echoes(caller: Caller) -> None:
        await caller.write(b"hello")
        assert await caller.read(5) == b"hello"

    async with serving(make=Echoing) as server:
        address = await server.listen("tls://127.0.0.1:0", tls)
        async with call(address) as plain:
            await echoes(plain)
            tls.replace(TlsOptions(certificates=(made,)))
            async with call(address, **secured) as secure:
                await echoes(secure)
                tls.replace(None)
                async with call(address) as other:
                    await echoes(other)
                await echoes(secure)
            await echoes(plain)


class Echoing(Stand):
    """Says it back."""

    def received(self, data: bytes) -> None:
        self.connection.write(data)
