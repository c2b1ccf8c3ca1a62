"""The backend `echo`: it sends back what it is told."""
