"""The site: logins, orders, and a page."""

import os
import time
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import jwt
import orders
from fastapi import Cookie, Depends, FastAPI, HTTPException, Response
from fastapi.responses import FileResponse, HTMLResponse
from pydantic import BaseModel

from holdfast.publish import Client

LIVE = os.environ.get("LIVE", "ws://127.0.0.1:8081/live")
KEY = Path("jwt.key").read_text().strip()
API_KEY = Path("api.key").read_text().strip()
USERS = {"anna": "rose", "bert": "tulip"}
TOKEN_SECONDS = 900

app = FastAPI()
gateway = Client("http://127.0.0.1:9181", key=API_KEY)


def token_for(user: str) -> str:
    """The token with which this user comes to the gateway, too."""
    claims = {"sub": user, "iss": "shop", "aud": "live", "exp": time.time() + TOKEN_SECONDS}
    return jwt.encode(claims, KEY, "HS256")


def current_user(shop_token: Annotated[str, Cookie()] = "") -> str:
    """The user of a request. Raises 401 without a valid token."""
    try:
        claims = jwt.decode(shop_token, KEY, ["HS256"], audience="live", issuer="shop")
    except jwt.InvalidTokenError:
        raise HTTPException(401, "log in first") from None
    return str(claims["sub"])


User = Annotated[str, Depends(current_user)]


class Login(BaseModel):
    name: str
    password: str


class Wanted(BaseModel):
    item: str


@app.post("/login")
def log_in(login: Login, response: Response) -> dict[str, str]:
    if USERS.get(login.name) != login.password:
        raise HTTPException(403, "wrong name or password")
    return give_token(login.name, response)


@app.post("/token")
def give_token(user: User, response: Response) -> dict[str, str]:
    token = token_for(user)
    response.set_cookie(
        "shop_token", token, max_age=TOKEN_SECONDS, httponly=True, samesite="strict"
    )
    return {"user": user, "token": token}


@app.post("/logout")
def log_out(user: User, response: Response) -> dict[str, str]:
    for session in gateway.sessions(user):
        gateway.close_session(session.sid)
    response.delete_cookie("shop_token")
    return {}


@app.post("/orders")
def order(wanted: Wanted, user: User) -> dict[str, int]:
    with orders.connect() as database:
        row = database.execute(
            "INSERT INTO orders (user, item, state) VALUES (?, ?, 'new')", (user, wanted.item)
        )
    return {"id": row.lastrowid or 0}


@app.get("/")
def page() -> HTMLResponse:
    return HTMLResponse(Path("page.html").read_text().replace("{{LIVE}}", LIVE))


@app.get("/holdfast.js")
def client() -> FileResponse:
    return FileResponse(str(files("holdfast.web") / "holdfast.js"), media_type="text/javascript")
