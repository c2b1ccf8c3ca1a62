"""Reports of a run: for terminals, for machines, as timelines."""
