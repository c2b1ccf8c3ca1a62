"""`holdfast explain`, against a running gateway."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.test_admin import ask, entered, gateway, rows, run
from tests.gateway.clients import person_at


async def test_a_session_is_explained_in_sentences_and_as_json(tmp_path: Path) -> None:
    async with gateway(tmp_path) as (_, port), person_at(port, telnet=False) as someone:
        await entered(someone)
        ((sid, address),) = [
            (one["sid"], one["address"]) for one in await rows(tmp_path, "sessions")
        ]
        shown = await ask(tmp_path, "explain", sid)
        head, epoch, *_ = shown.splitlines()
        assert head == f"session {sid}: active, fast, of nobody, with echo"
        assert epoch.startswith("epoch ")
        assert f"Connection 1 has the session: a client at {address} (tcp).\n" in shown
        assert shown.splitlines()[-1].endswith(
            "session opened  connection 1, app echo, listener tcp://127.0.0.1:" + str(port)
        )
        found = json.loads(await ask(tmp_path, "explain", sid, "--json"))
        assert (found["sid"], found["generation"], found["attached"]) == (sid, 1, True)
        code, out, err = await run("explain", "nobody", "--admin", f"unix:{tmp_path / 'admin'}")
        assert (code, out) == (1, "")
        assert "there is no such session, and no events of one are kept" in err
