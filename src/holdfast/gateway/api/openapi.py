"""The OpenAPI document of the API, made of the types of its bodies."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import msgspec

import holdfast
from holdfast.gateway.api.bodies import (
    Closed,
    CloseRequest,
    Fault,
    GroupView,
    PublishRequest,
    PublishResult,
    SessionList,
)

_REF: Final = "#/components/schemas/{name}"
_APP: Final = "The application whose sessions are meant, if the key is for several."


@cache
def document() -> bytes:
    """The document, as JSON."""
    bodies = (
        PublishRequest,
        PublishResult,
        CloseRequest,
        Closed,
        SessionList,
        GroupView,
        Fault,
    )
    _, schemas = msgspec.json.schema_components(bodies, ref_template=_REF)
    return msgspec.json.encode(
        {
            "openapi": "3.1.0",
            "info": {"title": "Holdfast", "version": holdfast.__version__},
            "security": [{"key": []}],
            "paths": {
                "/v1/publish": {"post": _publish()},
                "/v1/sessions": {"get": _sessions()},
                "/v1/sessions/{sid}/close": {"post": _close()},
                "/v1/groups/{name}": {"get": _group()},
            },
            "components": {
                "schemas": schemas,
                "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
            },
        }
    )


def _publish() -> dict[str, Any]:
    request, result = _ref(PublishRequest), _ref(PublishResult)
    return {
        "operationId": "publish",
        "summary": "Send outputs to sessions, users and groups.",
        "requestBody": _body(_one_or_several(request)),
        "responses": _responses("What became of it.", _one_or_several(result), 409, 503),
    }


def _sessions() -> dict[str, Any]:
    return {
        "operationId": "sessions",
        "summary": "The sessions of a user.",
        "parameters": [
            _query("user", "The user.", required=True),
            _query("app", _APP),
            _query("after", "The id of a session: those behind it are listed."),
            _query("limit", "The most sessions in the answer."),
        ],
        "responses": _responses("The sessions.", _ref(SessionList)),
    }


def _close() -> dict[str, Any]:
    return {
        "operationId": "close",
        "summary": "End a session for good; its client is told.",
        "parameters": [_path("sid", "The id of the session.")],
        "requestBody": {**_body(_ref(CloseRequest)), "required": False},
        "responses": _responses("It was closed.", _ref(Closed), 503),
    }


def _group() -> dict[str, Any]:
    return {
        "operationId": "group",
        "summary": "The members of a group.",
        "parameters": [_path("name", "The name of the group."), _query("app", _APP)],
        "responses": _responses("The group.", _ref(GroupView), 503),
    }


def _ref(kind: type) -> dict[str, str]:
    return {"$ref": _REF.format(name=kind.__name__)}


def _one_or_several(schema: dict[str, str]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "array", "items": schema}]}


def _body(schema: dict[str, Any]) -> dict[str, Any]:
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def _responses(what: str, schema: dict[str, Any], *others: int) -> dict[str, Any]:
    content = {"application/json": {"schema": schema}}
    fault = {"application/json": {"schema": _ref(Fault)}}
    refused = {
        str(status): {"description": _REFUSALS[status], "content": fault}
        for status in (400, 401, 403, 404, 429, *others)
    }
    return {"200": {"description": what, "content": content}, **refused}


_REFUSALS: Final = {
    400: "The request cannot be read.",
    401: "There is no key, or a wrong one.",
    403: "The key may not do this.",
    404: "There is no such session, application or path.",
    409: "The id was used with other content.",
    429: "Too many wrong keys came.",
    503: "The store cannot be used now.",
}


def _query(name: str, what: str, *, required: bool = False) -> dict[str, Any]:
    return _parameter("query", name, what, required=required)


def _path(name: str, what: str) -> dict[str, Any]:
    return _parameter("path", name, what, required=True)


def _parameter(where: str, name: str, what: str, *, required: bool) -> dict[str, Any]:
    return {
        "name": name,
        "in": where,
        "required": required,
        "description": what,
        "schema": {"type": "string"},
    }
