"""An application behind Holdfast that is a URL, as a FastAPI route.

HOLDFAST_SECRET=... python fastapi_app.py 8000
"""

from __future__ import annotations

import sys

import uvicorn
from events import answer
from fastapi import FastAPI, Request, Response

app = FastAPI()


@app.post("/")
async def live(request: Request) -> Response:
    signature = request.headers.get("holdfast-signature", "")
    status, body = answer(signature, await request.body())
    return Response(body, status, media_type="application/json")


class Server(uvicorn.Server):
    async def startup(self, sockets: object = None) -> None:
        await super().startup()
        print("ready", flush=True)


if __name__ == "__main__":
    Server(uvicorn.Config(app, port=int(sys.argv[1]), log_level="error")).run()
