"""Commands of a WebSocket's specification."""
