"""HTTP/2 as a test speaks it: frame by frame, right or wrong."""
