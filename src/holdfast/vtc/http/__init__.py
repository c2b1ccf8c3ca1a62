"""HTTP/1 as a test speaks it: exactly what the script says, right or wrong."""
