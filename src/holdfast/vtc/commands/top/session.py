"""`session`"""

from __future__ import annotations

from holdfast.vtc.actors.session_client import SessionClient
from holdfast.vtc.commands.top.client import CLIENT_OPTIONS, run_client
from holdfast.vtc.language.command import Args, Command, ParsedOption, option
from holdfast.vtc.language.context import Context
from holdfast.vtc.language.errors import Failure
from holdfast.vtc.run.case import Case
from holdfast.vtc.run.scope import Scope

EXAMPLE = """\
vtest "a session over two connections"

gateway g1 -listen ws://${listen_addr}/ -backend echo -start

session u1 -connect ${g1_ws_sock} {
    rx welcome
    expect rx.json.seq == 0
    tx command "one"
    rx text "one"
    drop
} -run

session u1 {
    rx resumed
    tx command "two"
    rx text "two"
    tx code
    rx code
} -run

session u2 -connect ${g1_ws_sock} -code ${u1_code} {
    rx resumed
    expect rx.json.sid == ${u1_sid}
    rx text "one"
    rx text "two"
    tx quit
    rx close -until "1000"
} -run
"""


async def _session(scope: Scope[Case], args: Args) -> None:
    session = scope.case.actor(SessionClient, args.instance(), scope.position)
    for given in args.walk():
        if not await run_client(scope, session, given):
            _apply(scope, session, given)


def _apply(scope: Scope[Case], session: SessionClient, given: ParsedOption) -> None:
    match given.flag:
        case "-url":
            session.target = given.values[0]
        case "-code":
            session.take_code(str(given.values[0]))
        case "-as":
            other = scope.case.actors(SessionClient).get(given.values[0])
            if other is None:
                text = f"-as: there is no session {given.values[0]}"
                raise Failure(text, given.values[0].position())
            session.be(other)
        case _:
            session.spec = given.values[0]


COMMANDS = (
    Command(
        name="session",
        run=_session,
        usage="uNAME [SPEC] [-connect ADDRESS] [-start] [-wait] [-run] [OPTIONS]",
        text="A user's session at a gateway: a `client` that speaks `holdfast.v1` and keeps its "
        "token and its place. The first run says hello for a new session, each later one resumes "
        "it. That no output is missing, repeated or out of order is checked by itself. There are "
        "`${uNAME_sid}`, `${uNAME_token}`, `${uNAME_epoch}`, and `${uNAME_code}` once it was "
        "asked for.",
        letter="u",
        label="Session",
        exports=("sid", "token", "epoch", "code"),
        words_max=None,
        spec=Context.SESSION,
        options=(
            *CLIENT_OPTIONS,
            option("-url STRING", "The gateway's path, else `/`."),
            option("-code CODE", "At the next run, take up the session of this resume code."),
            option(
                "-as uNAME", "Be a second client with what this one keeps: its token, its place."
            ),
        ),
        example=EXAMPLE,
    ),
)
