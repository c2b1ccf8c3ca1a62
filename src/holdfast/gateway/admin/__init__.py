"""The admin listener: health, metrics, and an operator's hand on sessions and connections."""
