"""The instances that scripts make and name: clients, servers, processes, sessions, barriers."""
