"""HAProxy as a test runs it: configuration, process and command line."""
