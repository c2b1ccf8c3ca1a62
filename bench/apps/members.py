"""An application whose sessions are users `user0`, `user1` … and all in the group `all`."""

from __future__ import annotations

from itertools import count

from holdfast.app import App, Session

app = App("members")
numbers = count()


@app.on_open
async def opened(session: Session) -> None:
    await session.identify(f"user{next(numbers)}")
    await session.join("all")


app.run()
