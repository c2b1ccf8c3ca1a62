"""A secure gateway: clients prove who they are with a certificate; plain servers stand behind it.

    python examples/tcp/gateway.py tls://127.0.0.1:7002 server.pem server.key clients.pem \
        tcp://127.0.0.1:8001 tcp://127.0.0.1:8002

Each client is passed on to the server with the fewest connections; servers that fail are left out.
"""

from __future__ import annotations

import asyncio
import sys

from holdfast.tcp import (
    Certificate,
    ConnectionLimits,
    DialError,
    NoUpstreamError,
    Stream,
    TlsOptions,
    Upstream,
    serve_forever,
)


async def main(url: str, certificate: str, key: str, authority: str, *servers: str) -> None:
    tls = TlsOptions(
        certificates=(Certificate(certificate, key),),
        client_certificates="required",
        client_ca=authority,
    )

    async with Upstream(*servers, balance="least_connections", check=True) as upstream:

        async def client(stream: Stream) -> None:
            assert stream.tls is not None
            try:
                await upstream.proxy(stream)
            except (DialError, NoUpstreamError) as error:
                print(f"no server for {stream.tls.subject}: {error}", file=sys.stderr)

        await serve_forever(
            client,
            url,
            tls=tls,
            limits=ConnectionLimits(idle_seconds_max=300.0),
            started=lambda at: print(*at, flush=True),
        )


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
