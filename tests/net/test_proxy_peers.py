"""The PROXY protocol with HAProxy, in front of our servers and behind our clients."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
import structlog
from tests.net.certificates import issue, write_pems
from tests.net.helpers import Serving, Stand, call, serving, until
from tests.net.peers.haproxy import haproxy
from tests.ports import free_port

from holdfast.core.errors import ConfigurationError
from holdfast.core.limits import ConnectionLimits
from holdfast.net.addresses import Address, parse_address
from holdfast.net.connection.connection import Connection
from holdfast.net.dial.dial import dial
from holdfast.net.server.handshake import ProxyOptions, TrustedProxies
from holdfast.net.server.server import ListenOptions
from holdfast.net.tls.certificates import ServerTls
from holdfast.net.tls.contexts import client_context
from holdfast.net.tls.options import TlsOptions
from holdfast.protocols.proxy import (
    Endpoint,
    Family,
    ProxyHeader,
    Tlv,
    TlvType,
    encode_v1,
    encode_v2,
)

LOCAL = ("127.0.0.0/8",)


def proxied(**options: Any) -> ListenOptions:
    return ListenOptions(proxy=ProxyOptions(**{"trust": LOCAL, **options}))


async def listen(
    server: Serving, options: ListenOptions, url: str = "tcp://127.0.0.1:0", tls: Any = None
) -> Address:
    return await server.server.listen(parse_address(url), server.factory, tls, options)


def departed(server: Serving) -> Any:
    return until(lambda: not (server.server.pending or server.server.connections))


async def told(server: Serving, data: bytes) -> Stand:
    """The handler that has heard `data`; others may have been made by a look at the port."""
    await until(lambda: any(stand.data == data for stand in server.stands))
    return next(stand for stand in server.stands if stand.data == data)


def pem_of(folder: Path, *files: str) -> Path:
    """One file of several, as HAProxy wants a certificate and its key."""
    both = folder / "both.pem"
    both.write_text("".join(Path(file).read_text() for file in files))
    return both


# --- HAProxy in front


@pytest.mark.parametrize("version", [1, 2])
async def test_the_address_behind_haproxy_is_the_client_s(version: int, tmp_path: Path) -> None:
    send = {1: "send-proxy", 2: "send-proxy-v2 proxy-v2-options crc32c"}[version]
    async with serving() as server:
        address = await listen(server, proxied())
        port = free_port()
        text = f"listen a\n bind 127.0.0.1:{port}\n server s 127.0.0.1:{address.port} {send}\n"
        where = parse_address(f"tcp://127.0.0.1:{port}")
        async with haproxy(tmp_path, port, text), call(where) as caller:
            name = caller.writer.get_extra_info("sockname")
            await caller.write(b"hello")
            stand = await told(server, b"hello")
            stand.connection.write(b"world")
            assert await caller.read(5) == b"world"
        connection = stand.connection
        assert connection.peer == f"127.0.0.1:{name[1]}"
        assert connection.proxy is not None
        assert connection.proxy.version == version
        assert connection.proxy.source == Endpoint("127.0.0.1", name[1])
        assert connection.proxy.destination == Endpoint("127.0.0.1", port)
        assert (connection.proxy.value(TlvType.CRC32C) is not None) is (version == 2)


async def test_tls_passes_through_haproxy_to_us(tmp_path: Path) -> None:
    pems = write_pems(tmp_path)
    tls = ServerTls(TlsOptions(certificates=(pems.certificate,)))
    async with serving() as server:
        address = await listen(server, proxied(), "tls://127.0.0.1:0", tls)
        port = free_port()
        text = f"""
frontend f
    bind 127.0.0.1:{port}
    tcp-request inspect-delay 5s
    tcp-request content accept if {{ req.ssl_hello_type 1 }}
    default_backend b
backend b
    server s 127.0.0.1:{address.port} send-proxy-v2
"""
        async with haproxy(tmp_path, port, text):
            where = parse_address(f"tcp://127.0.0.1:{port}")
            context = client_context(pems.authority)
            async with call(where, ssl=context, server_hostname="localhost") as caller:
                name = caller.writer.get_extra_info("sockname")
                await caller.write(b"secret")
                stand = await told(server, b"secret")
                assert stand.connection.peer == f"127.0.0.1:{name[1]}"
                assert stand.connection.tls is not None
                assert stand.connection.tls.version == "TLSv1.3"


async def test_what_haproxy_tells_of_tls_and_more(tmp_path: Path) -> None:
    """TLS ends at HAProxy, with a client certificate: its name, the SNI and an id come in TLVs."""
    pems = write_pems(tmp_path)
    pair = issue(tmp_path, "anna@example.org", name="anna", common_name="anna")
    both = pem_of(tmp_path, pems.certificate.cert, pems.certificate.key)
    async with serving() as server:
        address = await listen(server, proxied())
        port = free_port()
        text = f"""
frontend f
    bind 127.0.0.1:{port} ssl crt {both} ca-file {pems.authority} verify required
    unique-id-format id-%pid-%rt
    default_backend b
backend b
    server s 127.0.0.1:{address.port} send-proxy-v2-ssl-cn proxy-v2-options \
authority,crc32c,ssl,cert-cn,ssl-cipher,unique-id
"""
        async with haproxy(tmp_path, port, text):
            context = client_context(pems.authority)
            context.load_cert_chain(pair.cert, pair.key)
            where = parse_address(f"tcp://127.0.0.1:{port}")
            async with call(where, ssl=context, server_hostname="localhost") as caller:
                await caller.write(b"x")
                header = (await told(server, b"x")).connection.proxy
        assert header is not None
        assert header.value(TlvType.AUTHORITY) == b"localhost"
        assert (header.value(TlvType.UNIQUE_ID) or b"").startswith(b"id-")
        found = header.ssl
        assert found is not None
        assert (found.used, found.certificate_shown, found.verified) == (True, True, True)
        assert found.text(TlvType.SSL_VERSION) == "TLSv1.3"
        assert found.text(TlvType.SSL_CN) == "anna"
        assert found.text(TlvType.SSL_CIPHER).startswith("TLS_")


async def test_haproxy_s_own_checks_are_its_own(tmp_path: Path) -> None:
    """A health check is LOCAL: the connection is HAProxy's, not a client's."""
    async with serving() as server:
        address = await listen(server, proxied())
        port = free_port()
        text = f"""
listen a
    bind 127.0.0.1:{port}
    server s 127.0.0.1:{address.port} send-proxy-v2 check check-send-proxy inter 50ms
"""
        async with haproxy(tmp_path, port, text):
            await until(
                lambda: any(
                    stand.connection.proxy is not None and stand.connection.proxy.local
                    for stand in server.stands
                )
            )


# --- HAProxy behind

SHOW = """
frontend f
    mode http
    bind 127.0.0.1:{port} accept-proxy {tls}
    http-request return content-type text/plain lf-string \
"src=%[src]:%[src_port] dst=%[dst]:%[dst_port] name=%[fc_pp_authority] id=%[fc_pp_unique_id]"
"""
SOURCE, DESTINATION = Endpoint("192.0.2.7", 1234), Endpoint("198.51.100.9", 80)
V4 = ProxyHeader(1, Family.INET, SOURCE, DESTINATION)
V6 = ProxyHeader(1, Family.INET6, Endpoint("2001:db8::7", 1234), Endpoint("2001:db8::9", 80))
WITH_TLVS = ProxyHeader(
    2,
    Family.INET,
    SOURCE,
    DESTINATION,
    (Tlv(TlvType.AUTHORITY, b"a.example"), Tlv(TlvType.UNIQUE_ID, b"id-1")),
)


@pytest.mark.parametrize("secure", [False, True], ids=["tcp", "tls"])
@pytest.mark.parametrize(
    ("header", "shown"),
    [
        (encode_v1(V4), "src=192.0.2.7:1234 dst=198.51.100.9:80 name= id="),
        (encode_v1(V6), "src=2001:db8::7:1234 dst=2001:db8::9:80 name= id="),
        (
            encode_v2(WITH_TLVS, checksum=True),
            "src=192.0.2.7:1234 dst=198.51.100.9:80 name=a.example id=id-1",
        ),
    ],
    ids=["v1", "v1-ipv6", "v2"],
)
async def test_haproxy_believes_what_we_say(
    header: bytes, shown: str, secure: bool, tmp_path: Path
) -> None:
    pems = write_pems(tmp_path)
    both = pem_of(tmp_path, pems.certificate.cert, pems.certificate.key)
    port = free_port()
    text = SHOW.format(port=port, tls=f"ssl crt {both}" if secure else "")
    async with haproxy(tmp_path, port, text), serving() as server:
        stands: list[Stand] = []

        def stand_on(connection: Connection) -> Stand:
            stands.append(Stand(connection))
            return stands[-1]

        address = parse_address(f"{'tls' if secure else 'tcp'}://localhost:{port}")
        connection = await dial(
            Address(address.scheme, "127.0.0.1", port, ""),
            stand_on,
            clockwork=server.server.runtime,
            limits=server.server.limits,
            tls=client_context(pems.authority) if secure else None,
            header=header,
        )
        connection.write(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
        await stands[0].until_lost()
        assert stands[0].data.decode().endswith("\r\n\r\n" + shown)


# --- who may speak for others


async def refused(server: Serving, address: Address, data: bytes, event: str) -> dict[str, Any]:
    """What is logged of a client that sends `data` and is sent away."""
    with structlog.testing.capture_logs() as logs:
        async with call(address) as caller:
            if data:
                await caller.write(data)
            await caller.dropped()
        await departed(server)
    (line,) = (dict(log) for log in logs if log["event"] == event)
    return line


async def test_a_header_from_a_network_that_is_not_trusted_is_refused() -> None:
    async with serving() as server:
        address = await listen(server, proxied(trust=("192.0.2.0/24",)))
        line = await refused(server, address, b"", "refused")
        assert line["why"] == "untrusted"
        assert server.stands == []
        assert server.server.tallies[address].refused == 1


async def test_whoever_is_not_trusted_may_be_a_client_itself() -> None:
    async with serving() as server:
        address = await listen(server, proxied(trust=("192.0.2.0/24",), others="direct"))
        async with call(address) as caller:
            stand = await server.stand()
            assert stand.connection.peer == "127.0.0.1:" + str(
                caller.writer.get_extra_info("sockname")[1]
            )
            await caller.write(encode_v1(V4))
            await stand.until(lambda stand: stand.data == encode_v1(V4))  # no header, mere data
            assert stand.connection.proxy is None


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"GET / HTTP/1.0\r\n\r\n", "PROXY: expected a PROXY header, found b'GET / HTTP/1.0"),
        (b"PROXY TCP4 1.2.3.4 5.6.7.8 1 99999\r\n", "PROXY: expected a port from 0 to 65535"),
        (encode_v2(WITH_TLVS, checksum=True)[:-1] + b"\0", "PROXY: expected the CRC32C 0x"),
        (encode_v2(V4)[:14] + b"\xff\xff", "PROXY: expected a header of at most 4096 bytes"),
    ],
    ids=["none", "bad", "checksum", "too-long"],
)
async def test_a_bad_header_is_told(data: bytes, why: str) -> None:
    async with serving() as server:
        address = await listen(server, proxied())
        line = await refused(server, address, data, "handshake failed")
        assert line["why"].startswith(why)
        assert server.stands == []


async def test_a_header_that_does_not_come_is_told() -> None:
    async with serving(ConnectionLimits(handshake_seconds_max=0.05)) as server:
        address = await listen(server, proxied())
        line = await refused(server, address, b"PROXY ", "handshake failed")
        assert line["why"] == "not over within 0.05 s"


async def test_where_no_header_is_required_a_client_may_come_without() -> None:
    async with serving() as server:
        address = await listen(server, proxied(required=False))
        async with call(address) as caller:
            await caller.write(b"hello")
            stand = await server.stand()
            await stand.until(lambda stand: stand.data == b"hello")
            assert stand.connection.proxy is not None
            assert stand.connection.peer.startswith("127.0.0.1:")


async def test_a_unix_socket_s_peers_may_be_trusted(tmp_path: Path) -> None:
    async with serving() as server:
        address = await listen(server, proxied(trust=("unix",)), f"unix:{tmp_path / 's'}")
        async with call(address) as caller:
            await caller.write(encode_v2(V6) + b"hello")
            stand = await server.stand()
            await stand.until(lambda stand: stand.data == b"hello")
            assert stand.connection.peer == "[2001:db8::7]:1234"


async def test_limits_are_the_client_s_and_not_the_proxy_s() -> None:
    limits = ConnectionLimits(connections_per_address_max=1)
    async with serving(limits) as server:
        address = await listen(server, proxied())
        other = ProxyHeader(1, Family.INET, Endpoint("192.0.2.8", 1), DESTINATION)
        async with call(address) as first, call(address) as second, call(address) as third:
            await first.write(encode_v1(V4))
            await server.stand(0)
            await second.write(encode_v1(V4))
            await second.dropped()
            await third.write(encode_v1(other))
            await server.stand(1)
        assert server.server.refused == 1


async def test_tls_after_the_header_may_come_in_the_same_packet(tmp_path: Path) -> None:
    pems = write_pems(tmp_path)
    tls = ServerTls(TlsOptions(certificates=(pems.certificate,)))
    async with serving() as server:
        address = await listen(server, proxied(), "tls://127.0.0.1:0", tls)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = client_context(pems.authority)
        client = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
        with pytest.raises(ssl.SSLWantReadError):
            client.do_handshake()
        async with call(address) as caller:
            await caller.write(encode_v1(V4) + outgoing.read())
            while True:
                incoming.write(await caller.reader.read(65536))
                try:
                    client.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    continue
            client.write(b"secret")
            await caller.write(outgoing.read())
            stand = await server.stand()
            await stand.until(lambda stand: stand.data == b"secret")
            assert stand.connection.peer == "192.0.2.7:1234"


@pytest.mark.parametrize("trust", ["127.0.0.0/8", "::ffff:127.0.0.0/104", "::ffff:7f00:1/128"])
def test_a_network_of_ipv4_may_be_written_as_ipv6(trust: str) -> None:
    proxies = TrustedProxies(ProxyOptions(trust=(trust,)))
    assert proxies.trusts("127.0.0.1:1")
    assert not proxies.trusts("192.0.2.1:1")
    assert not proxies.trusts("[::7f00:1]:1")


@pytest.mark.parametrize("trust", ["10.0.0.0/99", "10.0.0.1/8", "everyone"])
async def test_a_network_that_is_none_is_named(trust: str) -> None:
    async with serving() as server:
        with pytest.raises(ConfigurationError, match=f"trust: expected networks .* '{trust}'"):
            await listen(server, proxied(trust=(trust,)))
