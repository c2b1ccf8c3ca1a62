"""HTTP/1 for tests: the exact bytes of the script, valid or not."""
