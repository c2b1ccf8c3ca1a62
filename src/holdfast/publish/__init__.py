"""Publish to the sessions of a gateway, from any program: a web site, a worker, a script.

```python
from holdfast.publish import Client

with Client("http://127.0.0.1:9181", key="...") as client:
    client.publish("Your order was sent.", user="anna")
    client.publish({"package": "Order", "data": {"state": "sent"}}, group="orders")
```

`AsyncClient` is the same for programs on asyncio. Both use the gateway's HTTP API (docs/publish.md)
and need nothing of the gateway itself.
"""

from __future__ import annotations

from holdfast.publish.aio import AsyncClient
from holdfast.publish.client import Client
from holdfast.publish.requests import (
    Group,
    Published,
    PublishError,
    RefusedError,
    SessionFound,
    UnavailableError,
    Unknown,
    UnknownSessionError,
    publication,
)

__all__ = [
    "AsyncClient",
    "Client",
    "Group",
    "PublishError",
    "Published",
    "RefusedError",
    "SessionFound",
    "UnavailableError",
    "Unknown",
    "UnknownSessionError",
    "publication",
]
