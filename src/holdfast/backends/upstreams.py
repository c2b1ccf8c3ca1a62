"""From an upstream's configuration to what passes clients on to it."""

from __future__ import annotations

import random

from holdfast.backends.upstream_config import UpstreamConfig
from holdfast.backends.upstream_status import StatusPoll
from holdfast.core.limits import Limits
from holdfast.net.runtime.runtime import Runtime
from holdfast.net.tls.contexts import client_context
from holdfast.net.upstream.balance import Balance
from holdfast.net.upstream.dialler import Dialler
from holdfast.net.upstream.pool import UpstreamPool, UpstreamServer
from holdfast.net.upstream.servers import Background, Servers


class Upstream(Servers):
    """The servers of one upstream, for sessions and for bare streams. `run` while it serves."""

    def __init__(self, config: UpstreamConfig, limits: Limits, runtime: Runtime) -> None:
        self.config = config
        pool = UpstreamPool(
            config.name,
            [UpstreamServer(server.address, server.weight) for server in config.all_servers],
            Balance(config.balance),
            limits.upstream,
            draw=random.randrange,
            entropy=random.random,
        )
        tls = client_context(config.ca or None) if config.secure else None
        dialler = Dialler(pool, runtime, limits.connection, tls, config.send_proxy)
        super().__init__(dialler, check=config.check, ready=config.ready)
        self.status = StatusPoll(dialler, limits) if config.mssp else None
        if self.status is not None:
            self.run_beside(Background("asking for a status failed", self.status.run))
