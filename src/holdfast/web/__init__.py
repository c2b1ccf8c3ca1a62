"""What browsers are served: the JavaScript client, text of terminals, and the page `/play/`."""
