"""What is told of a run: to a person, to a machine, as a picture."""
