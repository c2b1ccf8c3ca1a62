"""Who a client is: the facts of its connection, and the identity that a credential proves."""
