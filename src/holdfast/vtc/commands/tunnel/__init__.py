"""Commands in the specification of a tunnel."""
