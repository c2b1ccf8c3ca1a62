"""The three kinds of clients: one that counts, one that has a cookie, one that has a code."""
