"""The translation between a protocol's bytes and items: one adapter per connection, no I/O."""
