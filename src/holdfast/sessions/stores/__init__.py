"""Where sessions are kept. One interface (`base.Store`), one conformance suite."""
