"""The backend `link`: applications that dial in and speak the link."""
