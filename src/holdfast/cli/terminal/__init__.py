"""The terminal of `holdfast connect`: what is typed, and what is shown."""
