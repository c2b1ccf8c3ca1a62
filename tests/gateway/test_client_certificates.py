"""Clients that prove with a certificate who they are, and what is told of TLS and proxies."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs
from tests.gateway.running import Stage, configured, linked, serving, staged
from tests.net.certificates import issue, write_pems

from holdfast.app import Authenticate, AuthResult, Refusal
from holdfast.core.identity import ClientFacts
from holdfast.gateway.auth.options import AuthOptions
from holdfast.gateway.config import Config
from holdfast.gateway.gateway import Gateway
from holdfast.net.security_log import SecurityEvent
from holdfast.net.server.handshake import ProxyOptions
from holdfast.net.tls.options import Certificate, TlsOptions
from holdfast.protocols.proxy import (
    Endpoint,
    Family,
    ProxyHeader,
    Ssl,
    Tlv,
    TlvType,
    encode_ssl,
    encode_v2,
)


def guarded(folder: Path, *, wanted: str = "optional", **auth: Any) -> Config:
    pems = write_pems(folder)
    config = configured(folder, ["tls://127.0.0.1:0"])
    tls = TlsOptions(
        certificates=(pems.certificate,),
        client_certificates=wanted,  # type: ignore[arg-type]
        client_ca=pems.authority,
        alpn=("lines",),
    )
    options = AuthOptions(**auth) if auth else None
    listener = structs.replace(config.listener[0], tls=tls, auth=options)
    return structs.replace(config, listener=(listener,))


@asynccontextmanager
async def caller(
    gateway: Gateway, folder: Path, certificate: Any = None
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    context = ssl.create_default_context(cafile=str(folder / "authority.pem"))
    context.set_alpn_protocols(["lines"])
    if certificate is not None:
        context.load_cert_chain(certificate.cert, certificate.key)
    (address,) = gateway.addresses
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", address.port, ssl=context, server_hostname="LocalHost"
    )
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def facts_of(stage: Stage) -> ClientFacts:
    await stage.noted("open")
    return stage.session.client


def fingerprint_of(certificate: Certificate) -> str:
    end = "-----END CERTIFICATE-----"
    first = Path(certificate.cert).read_text().partition(end)[0] + end
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(first)).hexdigest()


async def test_the_facts_of_a_tls_client(tmp_path: Path) -> None:
    anna = issue(tmp_path, "anna@example.org", "anna.example", name="anna", common_name="Anna")
    async with staged(guarded(tmp_path)) as (gateway, stage):
        async with caller(gateway, tmp_path, anna):
            facts = await facts_of(stage)
        assert (facts.sni, facts.alpn, facts.request) == ("localhost", "lines", None)
        certificate = facts.certificate
        assert certificate is not None
        assert certificate.subject.startswith("O=Example,")
        assert certificate.subject.endswith(",CN=Anna")
        assert certificate.common_name == "Anna"
        assert certificate.names == ("email:anna@example.org", "DNS:anna.example")
        assert certificate.fingerprint == fingerprint_of(anna)
        assert certificate.serial
        assert certificate.expires > 1.6e9


@pytest.mark.parametrize(
    ("name", "user"),
    [
        ("common_name", "Anna"),
        ("email", "anna@example.org"),
        ("dns", "anna.example"),
        ("subject", "O=Example"),
    ],
)
async def test_a_certificate_makes_a_user_of_a_client(tmp_path: Path, name: str, user: str) -> None:
    anna = issue(tmp_path, "anna@example.org", "anna.example", name="anna", common_name="Anna")
    stage = Stage()
    stage.app.on_authenticate(lambda claim: claim.username)
    async with (
        serving(guarded(tmp_path, certificate=name)) as gateway,
        linked(gateway, stage),
        caller(gateway, tmp_path, anna),
    ):
        await stage.noted("open")
        assert stage.session.user.startswith(user)


async def test_a_client_without_a_certificate(tmp_path: Path) -> None:
    config = guarded(tmp_path, certificate="common_name")
    nameless = issue(tmp_path, "x.example", name="nameless")
    async with staged(config) as (gateway, stage):
        async with caller(gateway, tmp_path) as (reader, _):
            assert b"*** A token is needed." in await reader.read()
        async with caller(gateway, tmp_path, nameless) as (reader, _):
            assert b"*** Your certificate names no user." in await reader.read()
        assert not stage.notes
    anonymous = guarded(tmp_path, certificate="common_name", anonymous=True)
    async with staged(anonymous) as (gateway, stage), caller(gateway, tmp_path):
        await stage.noted("open")
        assert stage.session.user == ""


async def test_what_a_trusted_proxy_tells(tmp_path: Path) -> None:
    config = configured(tmp_path, ["tcp://127.0.0.1:0"])
    proxy = ProxyOptions(trust=("127.0.0.0/8",))
    config = structs.replace(config, listener=(structs.replace(config.listener[0], proxy=proxy),))
    tls = Ssl(
        used=True,
        certificate_shown=True,
        verified=True,
        tlvs=(Tlv(TlvType.SSL_VERSION, b"TLSv1.3"), Tlv(TlvType.SSL_CN, b"Anna")),
    )
    header = ProxyHeader(
        2,
        Family.INET,
        Endpoint("192.0.2.7", 1234),
        Endpoint("198.51.100.9", 80),
        (
            Tlv(TlvType.AUTHORITY, b"a.example"),
            Tlv(TlvType.ALPN, b"h2"),
            Tlv(TlvType.UNIQUE_ID, b"id-1"),
            encode_ssl(tls),
        ),
    )
    async with staged(config) as (gateway, stage):
        (address,) = gateway.addresses
        _, writer = await asyncio.open_connection("127.0.0.1", address.port)
        writer.write(encode_v2(header))
        facts = await facts_of(stage)
        assert stage.session.address == "192.0.2.7:1234"
        assert facts.proxy == {
            "authority": "a.example",
            "alpn": "h2",
            "unique_id": b"id-1".hex(),
            "tls_version": "TLSv1.3",
            "tls_common_name": "Anna",
            "tls_verified": "true",
        }
        writer.transport.abort()


async def test_a_certificate_is_shown_to_the_application_before_a_person_is_asked(
    tmp_path: Path,
) -> None:
    anna, other, broken = (
        issue(tmp_path, f"{name}@example.org", name=name, common_name=name.title())
        for name in ("anna", "other", "broken")
    )
    stage = Stage()
    stage.app.on_authenticate(lambda claim: claim.username)
    claims: list[Authenticate] = []

    @stage.app.on_certificate
    def who(claim: Authenticate) -> AuthResult:
        claims.append(claim)
        if "CN=Anna" in claim.certificate:
            return AuthResult("anna", {"by": "certificate"})
        if "CN=Broken" in claim.certificate:
            raise ValueError("a defect")
        raise Refusal("that is nobody's")

    async with serving(guarded(tmp_path)) as gateway, linked(gateway, stage):
        async with caller(gateway, tmp_path, anna):
            await stage.noted("open")
            assert stage.session.user == "anna"
            assert stage.session.properties == {"by": "certificate"}
        (claim,) = claims
        assert (claim.username, claim.password) == ("", "")
        assert claim.client.certificate is not None
        assert claim.client.certificate.fingerprint == fingerprint_of(anna)
        for certificate in (other, broken, None):
            async with caller(gateway, tmp_path, certificate) as (reader, _):
                assert (await reader.readuntil(b"Name: ")).endswith(b"Name: ")
        assert len(claims) == 3
        assert gateway.context.security.counts[SecurityEvent.LOGIN_FAILED] == 0
