"""Public conformance suites, each a module with `main(arguments) -> exit status`."""
