"""What an application answers to a login or a choice of a profile, and what that means here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.backends.node import apps, node

from holdfast.core.limits import LinkLimits
from holdfast.core.login import (
    Authenticate,
    AuthResult,
    LoginError,
    LoginFaultError,
    LoginRefusedError,
    LoginUnavailableError,
    ProfileSummary,
)
from holdfast.link import messages as m
from holdfast.link.peer import RequestError


def raising(error: Exception) -> Any:
    def answer(_: object) -> None:
        raise error

    return answer


async def test_an_application_refuses_a_person(tmp_path: Path) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        end = await one_more()
        end.answers[m.AUTHENTICATE] = raising(RequestError("banned", "not you", 60.0))
        await end.hello(login=True)
        session, _ = it.open()
        with pytest.raises(LoginRefusedError, match="not you") as caught:
            await it.backend().authenticate(session, Authenticate(session.sid, "ann"))
        assert caught.value.retry_s == 60.0


@pytest.mark.parametrize("code", ["unknown_method", "bad_params", "bad_result", "internal_error"])
async def test_an_application_that_cannot_answer_has_not_judged(tmp_path: Path, code: str) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        end = await one_more()
        end.answers[m.PROFILES_LIST] = raising(RequestError(code, "for operators"))
        await end.hello(profiles=True)
        session, _ = it.open()
        with pytest.raises(LoginFaultError, match="for operators") as caught:
            await it.backend().profiles(session)
        assert caught.value.code == code


async def test_an_answer_that_does_not_fit_is_no_answer(tmp_path: Path) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        end = await one_more()
        long = "x" * (it.limits.session.name_bytes_max + 1)
        end.answers[m.AUTHENTICATE] = lambda _: AuthResult(long)
        end.answers[m.PROFILES_SELECT] = lambda _: ProfileSummary(long, "Ann")
        await end.hello(login=True, profiles=True)
        session, _ = it.open()
        for asking, fault in (
            (it.backend().authenticate(session, Authenticate(session.sid)), "authenticate: user"),
            (it.backend().select_profile(session, "p"), "profiles.select: profile"),
        ):
            with pytest.raises(LoginFaultError, match=f"the answer to {fault}") as caught:
                await asking
            assert caught.value.code == "bad_result"


async def test_nobody_decides_when_the_link_ends_or_no_answer_comes(tmp_path: Path) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        end = await one_more()
        await end.hello(login=True)
        session, _ = it.open()
        claim = Authenticate(session.sid)

        async def forever(_: object) -> None:
            await end.until(lambda it: it.reason)

        end.answers[m.AUTHENTICATE] = forever
        (instance,) = it.backend().assignment.linked.values()
        instance.peer._limits = LinkLimits(request_seconds_max=0.01)
        with pytest.raises(LoginUnavailableError, match="no answer to authenticate in time"):
            await it.backend().authenticate(session, claim)
        instance.peer._limits = LinkLimits()
        end.answers[m.AUTHENTICATE] = lambda _: end.cut()
        with pytest.raises(LoginUnavailableError, match="the application has gone"):
            await it.backend().authenticate(session, claim)


def test_only_what_may_pass_is_worth_another_try() -> None:
    assert LoginUnavailableError("away").retryable
    assert not LoginRefusedError("no").retryable
    assert not LoginFaultError("a defect", code="bad_result").retryable
    assert all(
        issubclass(kind, LoginError)
        for kind in (LoginUnavailableError, LoginRefusedError, LoginFaultError)
    )
