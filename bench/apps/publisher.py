"""The publisher of the chaos run: `news 1`, `news 2` … to each user, each once.

`python publisher.py PROGRESS USERS`. It notes in a file what was answered, and goes on behind that
when it is started again: what was under way then is published again, with the same id.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from holdfast.publish import Client

PAUSE_SECONDS = 0.01
progress, users = Path(sys.argv[1]), sys.argv[2].split(",")
done = int(progress.read_text()) if progress.exists() else 0
print("ready", file=sys.stderr, flush=True)
with Client(seconds_max=600.0) as client:
    while not progress.with_suffix(".stop").exists():
        number, user = done // len(users) + 1, users[done % len(users)]
        client.publish(f"news {number}", user=user, id=f"{user}-{number}", durability="durable")
        done += 1
        fresh = progress.with_suffix(".new")
        fresh.write_text(str(done))
        os.replace(fresh, progress)
        time.sleep(PAUSE_SECONDS)
