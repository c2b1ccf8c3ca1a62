"""Clients that cannot acknowledge, and connections that lose what was written to them.

The rule: a line is shown, or the person is told that it may be missing.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.gateway.clients import TTYPE, person, person_at
from tests.gateway.relay import relay_to
from tests.gateway.running import configured, eventually, port, staged

from holdfast.core.limits import Limits

SHORT = Limits().but(session={"unproven_seconds_max": 1, "probe_interval_seconds_max": 0.1})
ASSUMED = "*** What came more than 1 seconds before you were cut off is not shown again.\n"


def numbers(screen: str) -> list[int]:
    return [int(line) for line in screen.splitlines() if line.isdecimal()]


@pytest.mark.parametrize("scheme", ["tcp", "telnet"])
async def test_a_replay_that_is_cut_off_at_once_is_no_delivery(tmp_path: Path, scheme: str) -> None:
    """The lines are old, but they were written just now."""
    async with staged(configured(tmp_path, limits=SHORT)) as (gateway, stage):
        async with person(gateway, scheme) as someone:
            code = await someone.shown_code()
            await stage.noted("open")
            someone.drop()
        await stage.noted("detach", "network_error")
        await stage.count(1, 14)
        await stage.accepted()
        await asyncio.sleep(1.2)  # what was said is older than what counts as delivered
        async with relay_to(port(gateway, scheme)) as relay:
            relay.swallows = True
            async with person_at(relay.port, telnet=scheme == "telnet") as someone:
                someone.types(f"resume {code}")
                await stage.noted("resume")
                swallowed = relay.swallowed
                await stage.session.text("the end")
                await eventually(lambda: relay.swallowed > swallowed)
        await stage.until(lambda: any(note[0] == "detach" for note in stage.notes))
        async with person(gateway, scheme) as someone:
            someone.types(f"resume {code}")
            assert numbers(await someone.sees("That was all.\n")) == list(range(1, 15))


async def test_of_a_client_that_has_answered_probes_only_what_they_prove_is_let_go_of(
    tmp_path: Path,
) -> None:
    """Then its network is gone behind a relay that takes bytes for it, for longer than output
    needs to count as delivered by its age."""
    async with staged(configured(tmp_path, limits=SHORT)) as (gateway, stage):
        async with (
            relay_to(port(gateway, "telnet")) as relay,
            person_at(relay.port, telnet=True, options=[TTYPE]) as someone,
        ):
            code = await someone.shown_code()
            await stage.noted("open")
            await stage.count(1, 3)
            await someone.sees("3\n")
            session = next(iter(gateway.manager.sessions.values()))
            while session.out.acked < 3:  # the probes are answered
                try:
                    async with asyncio.timeout(0.05):
                        await someone.reads()
                except TimeoutError:
                    pass
            relay.swallows = True
            await stage.count(4, 20)
            await stage.accepted()
            await asyncio.sleep(1.5)
        await stage.until(lambda: any(note[0] == "detach" for note in stage.notes))
        async with person(gateway, "telnet") as someone:
            someone.types(f"resume {code}")
            screen = await someone.sees("That was all.\n")
            assert "*** You may have seen this:" in screen
            assert numbers(screen) == list(range(4, 21))


async def test_who_has_only_the_age_of_its_output_is_told_so(tmp_path: Path) -> None:
    async with staged(configured(tmp_path, limits=SHORT)) as (gateway, stage):
        async with (
            relay_to(port(gateway, "tcp")) as relay,
            person_at(relay.port, telnet=False) as someone,
        ):
            code = await someone.shown_code()
            await stage.noted("open")
            await stage.count(1, 3)
            await someone.sees("3\n")
            relay.swallows = True
            await stage.count(4, 5)
            session = next(iter(gateway.manager.sessions.values()))
            await eventually(lambda: session.out.acked == 5)  # while the connection lasts
            await stage.count(6, 7)
            await stage.accepted()
        await stage.until(lambda: any(note[0] == "detach" for note in stage.notes))
        for told in (True, False):
            async with person(gateway, "tcp") as someone:
                someone.types(f"resume {code}")
                screen = await someone.sees("That was all.\n")
                assert numbers(screen) == [6, 7]
                assert (ASSUMED in screen) is told  # once
                code = await someone.shown_code()
                someone.drop()
                await eventually(lambda: session.consumer is None)


async def test_who_only_listens_is_alive_while_it_takes_what_is_said(tmp_path: Path) -> None:
    limits = SHORT.but(connection={"idle_seconds_max": 1})
    async with (
        staged(configured(tmp_path, limits=limits)) as (gateway, stage),
        person(gateway, "tcp") as someone,
    ):
        await stage.noted("open")
        for number in range(1, 8):
            await stage.session.text(str(number))
            await someone.sees(f"{number}\n")
            await asyncio.sleep(0.4)
        assert ("detach", "timeout") not in stage.notes
        assert "for too long" in await someone.rest()  # when nothing is said any more


async def test_who_reads_at_full_speed_is_not_too_slow(tmp_path: Path) -> None:
    limits = Limits().but(connection={"write_buffer_bytes_max": 4096})
    async with (
        staged(configured(tmp_path, limits=limits)) as (gateway, stage),
        person(gateway, "tcp", small_window=True) as someone,
    ):
        await stage.noted("open")
        line = "x" * 1000
        for number in range(1, 701):  # far more than a window, in one go
            await stage.session.text(f"{number} {line}")
        seen = await someone.sees(f"700 {line}\n")
        shown = [int(each.split()[0]) for each in seen.splitlines() if line in each]
        assert shown == list(range(1, 701))
        assert ("detach", "slow_consumer") not in stage.notes
