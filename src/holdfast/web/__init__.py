"""What the gateway serves to browsers: the JavaScript client."""
