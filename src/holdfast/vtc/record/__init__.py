"""Recording: what a client and a server say to each other becomes a test script.

`Relay` stands between the two, a `Scribe` of the protocol translates what it
hears into commands, and the `Book` holds the script.
"""
