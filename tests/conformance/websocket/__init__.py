"""WebSocket, on Autobahn's test suite: server and client, both codecs.

Gets the suite from PyPI into the user's cache and runs it under Python 2.7,
the only one that it runs on, against `holdfast echo` and a client on
`holdfast.websocket.connect`. What is not OK must stand in `DEVIATIONS`, with
its reason; what stands there and is OK is an error too.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.conformance.websocket.autobahn import Autobahn, Missing, Verdict, find_autobahn
from tests.conformance.websocket.deviations import DEVIATIONS

CORE = ("1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "9.*", "10.*")
"""Everything but compression: 301 cases."""
DEFLATE = ("12.*", "13.*")
SELECTIONS = {"core": CORE, "deflate": DEFLATE, "all": CORE + DEFLATE}
ROLES = ("server", "client")
CODECS = ("compiled", "pure")
GOOD = frozenset({"OK", "INFORMATIONAL"})


def judge(role: str, verdicts: Sequence[Verdict]) -> list[str]:
    """What is wrong: cases that are not OK without a reason, and reasons without a case."""
    wrong = []
    for verdict in verdicts:
        known = DEVIATIONS.get((role, verdict.case))
        if verdict.close not in GOOD or verdict.behavior not in (GOOD | {"NON-STRICT"}):
            wrong.append(f"{verdict.case}: {verdict.behavior}, close {verdict.close}")
        elif verdict.behavior == "NON-STRICT" and known is None:
            wrong.append(f"{verdict.case}: NON-STRICT, and no reason is written for it")
        elif verdict.behavior != "NON-STRICT" and known is not None:
            wrong.append(f"{verdict.case}: {verdict.behavior}, but a deviation is written for it")
    return wrong


def run(autobahn: Autobahn, role: str, codec: str, cases: Sequence[str]) -> list[Verdict]:
    """The verdicts on one role with one codec."""
    with tempfile.TemporaryDirectory(prefix="holdfast-autobahn-") as folder:
        test = autobahn.test_server if role == "server" else autobahn.test_client
        return test(Path(folder), cases, pure=codec == "pure")


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, prog="./dev conformance websocket")
    parser.add_argument("--role", choices=(*ROLES, "both"), default="both")
    parser.add_argument("--codec", choices=(*CODECS, "both"), default="both")
    parser.add_argument("--cases", choices=tuple(SELECTIONS), default="all")
    options = parser.parse_args(arguments)
    try:
        autobahn = find_autobahn()
    except Missing as missing:
        sys.stderr.write(f"websocket: {missing}\n")
        return 2
    failed = False
    for role in ROLES if options.role == "both" else (options.role,):
        for codec in CODECS if options.codec == "both" else (options.codec,):
            begun = time.monotonic()
            verdicts = run(autobahn, role, codec, SELECTIONS[options.cases])
            wrong = judge(role, verdicts)
            count = dict.fromkeys(("OK", "NON-STRICT", "INFORMATIONAL", "FAILED"), 0)
            for verdict in verdicts:
                count[verdict.behavior] = count.get(verdict.behavior, 0) + 1
            said = ", ".join(f"{number} {word}" for word, number in count.items())
            seconds = time.monotonic() - begun
            sys.stdout.write(f"{role}, {codec}: {len(verdicts)} cases: {said} ({seconds:.0f} s)\n")
            for line in wrong:
                sys.stdout.write(f"  {line}\n")
            sys.stdout.flush()
            failed = failed or bool(wrong) or not verdicts
    return 1 if failed else 0
