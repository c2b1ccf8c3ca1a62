"""Commands of a script's top level."""
