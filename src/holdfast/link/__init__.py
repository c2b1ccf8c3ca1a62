"""The link: the RPC between gateway and application, both ways (MessagePack-RPC, framed)."""
