"""An application behind Holdfast that is a URL, as a Flask route.

HOLDFAST_SECRET=... python flask_app.py 8000
"""

from __future__ import annotations

from events import answer
from flask import Flask, Response, request
from wsgi_app import serve

app = Flask(__name__)


@app.post("/")
def live() -> Response:
    status, body = answer(request.headers.get("Holdfast-Signature", ""), request.get_data())
    return Response(body, status, content_type="application/json")


if __name__ == "__main__":
    serve(app)
