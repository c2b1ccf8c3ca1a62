"""HTTP on a connection of the gateway: pages, and the hosts that requests may be for."""
