import holdfast.websocket as websocket


def test_the_public_names() -> None:
    assert websocket.__all__ == [
        "ClientWebSocket",
        "Close",
        "CloseCode",
        "ConnectionClosed",
        "ConnectionClosedError",
        "ConnectionClosedOK",
        "DeflateSettings",
        "DialError",
        "HandshakeError",
        "Headers",
        "Refusal",
        "Request",
        "Response",
        "Server",
        "ServerWebSocket",
        "State",
        "WebSocket",
        "broadcast",
        "connect",
        "serve",
    ]
    assert all(hasattr(websocket, name) for name in websocket.__all__)
