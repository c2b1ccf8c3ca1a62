"""WebSocket echo, beside gorilla/websocket and the `websockets` library."""

from __future__ import annotations

from collections.abc import Sequence

from bench import harness
from bench.harness import HERE, HOLDFAST, PYTHON, Missing, Row, Server

SHAPES = ((100, 64, 1), (100, 64, 16))
PEER = "gorilla"


def servers() -> list[Server]:
    """Who takes part; who cannot is said and left out."""
    made = []
    for name in ("holdfast", "holdfast (pure)", PEER, "websockets"):
        port = harness.free_port()
        try:
            made.append(Server(name, _command(name, port), port))
        except Missing as missing:
            print(f"left out: {missing}")
    return made


def _command(name: str, port: int) -> Sequence[str]:
    match name:
        case "gorilla":
            return [str(harness.build_gorilla()), str(port)]
        case "websockets":
            return [PYTHON, str(HERE / "peers" / "websockets_echo.py"), str(port)]
        case _:
            return [*HOLDFAST, "echo", f"ws://127.0.0.1:{port}/"]


def main(arguments: Sequence[str]) -> int:
    options = harness.parser(__doc__).parse_args(arguments)
    taking_part = servers()
    for connections, size, in_flight in SHAPES:
        results: dict[str, list[Row]] = {server.name: [] for server in taking_part}
        for _ in range(options.rounds):
            for server in taking_part:
                pure = "1" if "pure" in server.name else "0"
                with harness.running(
                    server.command, port=server.port, HOLDFAST_PURE=pure
                ) as process:
                    shape = ["-m", "ws", "-c", str(connections), "-s", str(size)]
                    timing = ["-p", str(in_flight), "-d", str(options.seconds)]
                    results[server.name].append(
                        harness.load(server.port, process.pid, *shape, *timing)
                    )
        rows = [{"server": name, **harness.medians(found)} for name, found in results.items()]
        peer = next((row["us_msg"] for row in rows if row["server"] == PEER), None)
        for row in rows:
            row["x gorilla"] = round(peer / row["us_msg"], 2) if peer else None
        title = f"WebSocket echo: {connections} connections, {size} B, {in_flight} in flight"
        harness.show(title, rows, as_json=options.json)
    return 0
