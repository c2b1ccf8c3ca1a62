"""The script that a recording becomes."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.net.addresses import Address
from holdfast.protocols.uris import bracketed
from holdfast.vtc.record.lines import LineRecorder, TelnetRecorder
from holdfast.vtc.record.quoting import quoted
from holdfast.vtc.record.recorder import Recorder
from holdfast.vtc.record.websocket import WebSocketRecorder

_RECORDERS: dict[str, type[LineRecorder | TelnetRecorder | WebSocketRecorder]] = {
    "tcp": LineRecorder,
    "tls": LineRecorder,
    "unix": LineRecorder,
    "telnet": TelnetRecorder,
    "telnets": TelnetRecorder,
    "ws": WebSocketRecorder,
    "wss": WebSocketRecorder,
}


class Recording:
    """All connections to one server, in the order in which they began."""

    def __init__(self, server: Address) -> None:
        self.server = server
        self.recorders: list[Recorder] = []
        self._codes: set[str] = set()

    def begin(self) -> Recorder:
        """A connection has begun; return its recorder."""
        for other in self.recorders:
            other.overlapped = other.overlapped or not other.over
        recorder = _RECORDERS[self.server.scheme](self._codes)
        self.recorders.append(recorder)
        return recorder

    def script(self) -> str:
        """The script so far."""
        body = "\n".join(self._body())
        macros = "feature ignore_unknown_macro\n\n" if _strange_macro(body) else ""
        return f"vtest {quoted(f'recorded at {self.server}')}\n\n{macros}{body}"

    def _body(self) -> Iterator[str]:
        sessions: dict[str, str] = {}
        started: list[str] = []
        for number, recorder in enumerate(self.recorders, 1):
            name = f"client c{number}"
            if isinstance(recorder, WebSocketRecorder) and recorder.is_session:
                sid = recorder.sid or f"nothing {number}"
                name = sessions.setdefault(sid, f"session u{len(sessions) + 1}")
            yield self._block(name, recorder)
            if recorder.overlapped and name not in started:
                started.append(name)
        yield from (f"{name} -wait\n" for name in started)

    def _block(self, name: str, recorder: Recorder) -> str:
        opening = recorder.opening
        depth = "        " if opening else "    "
        lines = [f"{depth}{command}" for command in recorder.commands]
        if opening:
            lines = [f"    {opening} {{", *lines, "    }"]
        how = "-start" if recorder.overlapped else "-run"
        return "\n".join([f"{name} {self._where()} {{", *lines, f"}} {how}\n"])

    def _where(self) -> str:
        server = self.server
        if server.scheme == "unix":
            return f"-connect {quoted(server.path)}"
        tls = f' -tls "sni={server.host}"' if server.secure else ""
        return f"-connect {bracketed(server.host)}:{server.port}{tls}"


def _strange_macro(body: str) -> bool:
    """Whether recorded text looks like a macro."""
    own = ("${code}", "${password}")
    return body.count("${") + body.count("$\\x7b") > sum(map(body.count, own))
