"""Commands on HAProxy's command line."""
