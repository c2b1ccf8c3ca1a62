"""A running gateway reads its configuration again: at SIGHUP, and for `holdfast reload`."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.cli.test_admin import ask, gateway, run
from tests.gateway.clients import person_at
from tests.ports import free_port

LISTENER = '[[listener]]\nurl = "{}"\nbackend = "echo"\ndurability = "memory"\n'


async def test_a_changed_file_is_taken_up(tmp_path: Path) -> None:
    first, second = free_port(), free_port()
    async with gateway(tmp_path) as (it, port):
        config = tmp_path / "holdfast.toml"
        assert await ask(tmp_path, "reload") == "nothing has changed\n"
        config.write_text(config.read_text() + LISTENER.format(f"tcp://127.0.0.1:{first}"))
        said = await ask(tmp_path, "reload")
        assert f'listener tcp://127.0.0.1:{first}.url: (none) -> "tcp://127.0.0.1:{first}"' in said
        async with person_at(first, telnet=False) as someone, person_at(port, telnet=False):
            await someone.shown_code()
        config.write_text(
            config.read_text().replace(str(first), str(second)).replace("sessions.db", "other.db")
        )
        it.send(signal.SIGHUP)
        entries = await it.logged("configuration changed")
        await it.until(lambda: any(entry.get("key") == "store.path" for entry in it.logs))
        entries = await it.logged("configuration changed")
        (store,) = [entry for entry in entries if entry["key"] == "store.path"]
        assert (store["before"], store["after"]) == ('"sessions.db"', '"other.db"')
        assert store["effect"] == "restart"
        async with person_at(second, telnet=False) as someone:
            await someone.shown_code()
        config.write_text("listener = 3\n")
        code, out, err = await run("reload", "--admin", f"unix:{tmp_path / 'admin'}")
        assert (code, out) == (1, "")
        assert "listener: expected an array, found the integer 3" in err
        it.send(signal.SIGHUP)
        await it.logged("configuration not reloaded", 2)
        async with person_at(second, telnet=False) as someone:
            await someone.shown_code()
