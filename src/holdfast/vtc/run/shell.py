"""Shell commands: their output and their exit status."""

from __future__ import annotations

import os
import subprocess

from holdfast.vtc.run.case import Case
from holdfast.vtc.run.child import Child, OutputReader, OutputTail


async def run_shell(case: Case, command: bytes) -> tuple[int, OutputTail]:
    """Run `command` with `/bin/sh` in the test's directory; return its wait status and output.

    Its background processes are killed at the end of the test. Raises `OSError`.
    """
    reading, writing = os.pipe()
    output = OutputTail()
    drain = OutputReader(reading, output.add)
    try:
        child = case.adopt(
            Child(
                ("/bin/sh", "-c", command),
                cwd=case.directory,
                env=case.env,
                streams=(subprocess.DEVNULL, writing, writing),
            )
        )
    except BaseException:
        drain.release()
        raise
    finally:
        os.close(writing)
    try:
        status = await child.wait()
        await drain.ended.wait()
    finally:
        drain.release()
    return status, output
