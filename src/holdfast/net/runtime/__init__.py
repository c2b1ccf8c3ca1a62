"""The event loop, the timers and the write coalescer of one server, and its tasks."""
