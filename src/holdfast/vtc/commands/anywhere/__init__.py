"""Commands that stand in every specification."""
