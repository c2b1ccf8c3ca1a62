"""What scripts make and name: clients, servers, processes, sessions, barriers and the like."""
