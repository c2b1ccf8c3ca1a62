"""An issuer of tokens: its keys, its tokens, and the server of its key set."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

import jwt
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

SECRET = b"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
NOW = 1_800_000_000.0


@cache
def private_key(kind: str) -> Any:
    """A private key: `RS`, `ES256`, `ES384`, `EdDSA`, or another of the same kind, `RS/2`."""
    match kind.partition("/")[0]:
        case "RS":
            return rsa.generate_private_key(public_exponent=65537, key_size=2048)
        case "ES256":
            return ec.generate_private_key(ec.SECP256R1())
        case "ES384":
            return ec.generate_private_key(ec.SECP384R1())
        case _:
            return ed25519.Ed25519PrivateKey.generate()


def pem(kind: str) -> bytes:
    """The public key in PEM."""
    return bytes(
        private_key(kind)
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


def jwk(kind: str, kid: str = "", **fields: Any) -> dict[str, Any]:
    """The public key as a JSON Web Key."""
    algorithms: dict[str, Any] = {
        "RS": jwt.algorithms.RSAAlgorithm,
        "ES": jwt.algorithms.ECAlgorithm,
    }
    algorithm = algorithms.get(kind[:2], jwt.algorithms.OKPAlgorithm)
    found: dict[str, Any] = json.loads(algorithm.to_jwk(private_key(kind).public_key()))
    return found | ({"kid": kid} if kid else {}) | fields


def jwks(*keys: dict[str, Any]) -> bytes:
    return json.dumps({"keys": keys}).encode()


def token(
    key: Any = SECRET,
    algorithm: str = "HS256",
    *,
    headers: dict[str, Any] | None = None,
    lasts: float = 300.0,
    now: float | None = None,
    **claims: Any,
) -> str:
    """A token for anna which lasts so many seconds. A claim that is `None` is left out."""
    begun = time.time() if now is None else now
    body = {"sub": "anna", "exp": begun + lasts} | claims
    body = {name: value for name, value in body.items() if value is not None}
    return jwt.encode(body, key, algorithm, headers=headers)


def forged(header: dict[str, Any], claims: dict[str, Any], signature: bytes = b"") -> str:
    """A token with any header, and any signature."""
    parts = [json.dumps(part).encode() for part in (header, claims)] + [signature]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


class Issuer:
    """The server of a key set."""

    def __init__(self) -> None:
        self.body = b""
        self.status = 200
        self.headers: dict[str, str] = {}
        self.asked = 0
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        self.asked += 1
        return web.Response(body=self.body, status=self.status, headers=self.headers)


@asynccontextmanager
async def issuing(*keys: dict[str, Any]) -> AsyncIterator[Issuer]:
    """An issuer with these keys, at a port of this machine."""
    issuer = Issuer()
    issuer.body = jwks(*keys)
    app = web.Application()
    app.router.add_get("/jwks.json", issuer.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    issuer.url = f"http://127.0.0.1:{port}/jwks.json"
    try:
        yield issuer
    finally:
        await runner.cleanup()
