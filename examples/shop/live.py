"""What a user sees when the page opens: the orders so far."""

import orders

from holdfast.app import App, Session

app = App("shop")


@app.on_open
async def opened(session: Session) -> None:
    await show_orders(session)


@app.on_resync
async def resynced(session: Session, reason: str) -> None:
    await show_orders(session)


async def show_orders(session: Session) -> None:
    database = orders.connect()
    rows = database.execute(
        "SELECT id, item, state FROM orders WHERE user = ?", (session.user,)
    ).fetchall()
    database.close()
    for number, item, state in rows:
        await session.data("Order", {"id": number, "item": item, "state": state})


if __name__ == "__main__":
    app.run("unix:link.sock")
