"""Commands in the specification of an HTTP/2 stream."""
