"""The keys with which tokens are signed: read from PEM, from a JSON Web Key Set, or a secret.

Each key says itself for which algorithms it is good: an RSA key for RS and PS, a curve for its one
ES, a secret for HS. So the algorithm that a token names can select among keys, and never change
what a key is used for (RFC 8725 section 3.1).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from jwt import PyJWK
from jwt.exceptions import PyJWTError
from msgspec import Struct, structs

RSA_BITS_MIN: Final = 2048
"""RFC 7518 section 3.3."""
KEYS_MAX: Final = 100
_CURVES: Final = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
_SECRET_BYTES_MIN: Final = {"HS256": 32, "HS384": 48, "HS512": 64}
"""RFC 7518 section 3.2: at least as long as the hash."""
_RSA: Final = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
_PEM_BEGIN: Final = b"-----BEGIN "
_ODD: Final = (PyJWTError, ValueError, TypeError, KeyError, AttributeError, UnsupportedAlgorithm)
"""What a key raises whose fields are missing or of another type than expected."""


class KeysError(ValueError):
    """These are no keys. Says what was expected and what was found."""


class Key(Struct, frozen=True):
    """One key."""

    kid: str
    """Its name; empty if it has none."""
    algorithms: frozenset[str]
    material: Any
    """The public key, or the bytes of a secret."""


def choose_keys(keys: Iterable[Key], kid: str, algorithm: str) -> list[Key]:
    """The keys that may have signed a token.

    A token that names a key is checked with the keys of that name, and with those without one.
    """
    return [
        key
        for key in keys
        if algorithm in key.algorithms and (not kid or not key.kid or key.kid == kid)
    ]


def read_keys(data: bytes, *, symmetric: bool) -> list[Key]:
    """The keys in a file. Raises `KeysError`."""
    text = data.strip()
    if text.startswith(b"{"):
        return read_jwks(text, symmetric=symmetric)
    if symmetric:
        return [_secret("", text)]
    if _PEM_BEGIN not in text:
        raise KeysError("expected keys in PEM or a JSON Web Key Set, found neither")
    return [_public("", _read_pem(block)) for block in _pem_blocks(text)]


def read_jwks(data: bytes, *, symmetric: bool) -> list[Key]:
    """The keys for signatures in a JSON Web Key Set, or one key. Raises `KeysError`.

    A key that is for another purpose or of a kind unknown here is left out (RFC 7517 section 5).
    """
    try:
        found = msgspec.json.decode(data, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise KeysError(f"expected a JSON Web Key Set: {error}") from error
    listed = found.get("keys", [found] if "kty" in found else None)
    if not isinstance(listed, list):
        raise KeysError("expected a JSON Web Key Set with `keys`, found none")
    if len(listed) > KEYS_MAX:
        raise KeysError(f"expected at most {KEYS_MAX} keys, found {len(listed)}")
    keys = [key for each in listed if (key := _read_jwk(each, symmetric=symmetric)) is not None]
    if not keys:
        raise KeysError("expected a key for signatures, found none")
    return keys


def _read_jwk(jwk: Any, *, symmetric: bool) -> Key | None:
    if not isinstance(jwk, dict) or (jwk.get("kty") == "oct") is not symmetric:
        return None
    try:
        if jwk.get("use", "sig") != "sig" or "verify" not in jwk.get("key_ops", ["verify"]):
            return None
        material = PyJWK(jwk).key
        kid = jwk.get("kid", "")
        if not isinstance(kid, str):
            raise KeysError("expected the name of a key as text")
        key = _secret(kid, material) if symmetric else _public(kid, _public_part(material))
        named = jwk.get("alg")
        algorithms = key.algorithms if named is None else key.algorithms & {named}
    except _ODD:
        return None
    return structs.replace(key, algorithms=algorithms) if algorithms else None


def _secret(kid: str, secret: bytes) -> Key:
    if _PEM_BEGIN in secret:
        raise KeysError("expected a secret, found a key in PEM")
    algorithms = {name for name, least in _SECRET_BYTES_MIN.items() if len(secret) >= least}
    if not algorithms:
        least = min(_SECRET_BYTES_MIN.values())
        raise KeysError(f"expected a secret of at least {least} bytes, found {len(secret)}")
    return Key(kid, frozenset(algorithms), secret)


def _public(kid: str, material: Any) -> Key:
    match material:
        case rsa.RSAPublicKey():
            if material.key_size < RSA_BITS_MIN:
                raise KeysError(
                    f"expected an RSA key of at least {RSA_BITS_MIN} bits,"
                    f" found {material.key_size}"
                )
            return Key(kid, _RSA, material)
        case ec.EllipticCurvePublicKey() if material.curve.name in _CURVES:
            return Key(kid, frozenset({_CURVES[material.curve.name]}), material)
        case ed25519.Ed25519PublicKey() | ed448.Ed448PublicKey():
            return Key(kid, frozenset({"EdDSA"}), material)
        case _:
            raise KeysError(f"expected an RSA, EC or Ed key, found {type(material).__name__}")


def _public_part(material: Any) -> Any:
    """A set for verifiers has public keys; of a private one, only the public part is kept."""
    return material.public_key() if hasattr(material, "public_key") else material


def _pem_blocks(text: bytes) -> Sequence[bytes]:
    blocks = [_PEM_BEGIN + part for part in text.split(_PEM_BEGIN)[1:]]
    if len(blocks) > KEYS_MAX:
        raise KeysError(f"expected at most {KEYS_MAX} keys, found {len(blocks)}")
    return blocks


def _read_pem(block: bytes) -> Any:
    if b"PRIVATE KEY-----" in block.partition(b"\n")[0]:
        raise KeysError("expected public keys, found a private key")
    try:
        if block.startswith(b"-----BEGIN CERTIFICATE-----"):
            return x509.load_pem_x509_certificate(block).public_key()
        return serialization.load_pem_public_key(block)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeysError(f"expected a public key in PEM: {error}") from error
