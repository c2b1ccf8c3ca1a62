"""Fetches a JSON Web Key Set. The only network I/O of `auth`."""

from __future__ import annotations

import asyncio
from importlib import import_module

from holdfast.core.limits import AuthLimits
from holdfast.gateway.auth.errors import KeysUnavailableError


async def fetch(url: str, limits: AuthLimits) -> bytes:
    """The body at the configured address. Raises `KeysUnavailableError`.

    A redirect is not followed: it would let the answer choose which server the gateway asks. Nor
    are the proxies of the environment used, or a compressed answer accepted.
    """
    await asyncio.to_thread(import_module, "aiohttp")  # the loop goes on
    import aiohttp

    timeout = aiohttp.ClientTimeout(total=limits.keys_seconds_max)
    headers = {
        "Accept": "application/jwk-set+json, application/json",
        "Accept-Encoding": "identity",
    }
    try:
        async with (
            aiohttp.ClientSession(
                timeout=timeout, headers=headers, trust_env=False, auto_decompress=False
            ) as session,
            session.get(url, allow_redirects=False) as response,
        ):
            if response.status != 200:
                raise KeysUnavailableError(f"expected the status 200, found {response.status}")
            body = b""
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > limits.keys_bytes_max:
                    raise KeysUnavailableError(
                        f"expected at most {limits.keys_bytes_max} bytes, found more"
                    )
            return body
    except TimeoutError as error:
        raise KeysUnavailableError(f"no answer within {limits.keys_seconds_max:g} s") from error
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise KeysUnavailableError(f"{type(error).__name__}: {error}") from error
