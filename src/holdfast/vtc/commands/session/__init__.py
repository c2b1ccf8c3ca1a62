"""Commands of a session's specification."""
