"""The gateway: adapters, attachments and sessions wired to backends, by configuration."""
