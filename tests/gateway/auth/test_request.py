"""The facts of a request: what the listener allows, and nothing else."""

from __future__ import annotations

import pytest

from holdfast.core.errors import ConfigurationError
from holdfast.core.identity import RequestFacts
from holdfast.gateway.auth.request import RequestOptions, RequestReader, check_request
from holdfast.protocols.websocket import Headers, Request


def request(*fields: tuple[str, str], target: str = "/play/ws?room=7&x=%20") -> Request:
    return Request("GET", target, (1, 1), Headers((("host", "shop.example"), *fields)))


FIELDS = (
    ("origin", "https://shop.example"),
    ("user-agent", "Browser/1"),
    ("authorization", "Bearer secret"),
    ("cookie", "session=secret; lang=de"),
    ("cookie", "theme=dark"),
    ("x-tenant", "a"),
    ("x-tenant", "b"),
)


def read(options: RequestOptions, asked: Request) -> RequestFacts:
    facts = RequestReader(options).read(asked).request
    assert facts is not None
    return facts


def test_what_is_told_of_a_request_if_nothing_is_said() -> None:
    assert read(RequestOptions(), request(*FIELDS)) == RequestFacts(
        "/play/ws", "room=7&x=%20", "shop.example", "https://shop.example", "Browser/1"
    )
    assert "secret" not in repr(read(RequestOptions(), request(*FIELDS)))


def test_headers_and_cookies_that_are_allowed() -> None:
    options = RequestOptions(("path",), headers=("X-Tenant", "X-None"), cookies=("lang", "none"))
    assert read(options, request(*FIELDS)) == RequestFacts(
        path="/play/ws", headers={"x-tenant": "a, b"}, cookies={"lang": "de"}
    )
    assert read(RequestOptions(()), request(*FIELDS)) == RequestFacts()


def test_a_whole_url_as_a_target() -> None:
    facts = read(RequestOptions(), request(target="http://other.example/a?b"))
    assert (facts.path, facts.query, facts.host) == ("/a", "b", "other.example")


def test_equal_requests_have_one_object() -> None:
    reader = RequestReader(RequestOptions(cookies=("lang",), headers=("x-tenant",)))
    first = reader.read(request(*FIELDS))
    assert reader.read(request(*FIELDS, ("x-other", "1"))) is first
    assert reader.read(request(*FIELDS[:-1])) is not first
    for number in range(1000):
        facts = reader.read(request(target=f"/{number}"))
        assert facts.request is not None
        assert facts.request.path == f"/{number}"
    assert reader.read(request(*FIELDS)) == first


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (RequestOptions(headers=("Cookie",)), r"headers\[0\]: expected a header field without"),
        (RequestOptions(headers=("x", "Authorization")), r"headers\[1\]: .* without credentials"),
        (
            RequestOptions(headers=("Sec-WebSocket-Protocol",)),
            r"headers\[0\]: .* without credentials",
        ),
        (RequestOptions(headers=("a b",)), r"headers\[0\]: expected the name"),
        (RequestOptions(cookies=("",)), r"cookies\[0\]: expected the name"),
    ],
)
def test_what_cannot_be_allowed(options: RequestOptions, why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        check_request(options)
