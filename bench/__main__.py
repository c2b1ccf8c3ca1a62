"""`./dev bench [NAME] [--json] [ARGUMENTS]`."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

HERE = Path(__file__).parent
NAMES = (
    "tcp",
    "proxy",
    "websocket",
    "telnet",
    "gateway",
    "memory",
    "chaos",
    "fuzz",
    "siege",
    "vtc",
    "restart",
    "sessions",
    "scale",
    "broadcast",
    "ssh",
    "publish",
    "cluster",
)


def main() -> int:
    if len(sys.argv) < 2 or sys.argv[1] not in NAMES:
        print("usage: ./dev bench NAME [--json] [ARGUMENTS], where NAME is one of:\n")
        for name in NAMES:
            module = importlib.import_module(f"bench.{name}")
            print(f"  {name:10} {(module.__doc__ or '').splitlines()[0]}")
        return 0 if len(sys.argv) < 2 else 2
    result: int = importlib.import_module(f"bench.{sys.argv[1]}").main(sys.argv[2:])
    return result


sys.exit(main())
