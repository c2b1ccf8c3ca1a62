"""The whole gateway in one thread and no time: real code, a network and a disk made of lists.

Hypothesis decides what happens next: which bytes arrive, what breaks, what is
committed, who dies. Everything between the client's protocol core and the
application's handler is the code that ships.
"""
