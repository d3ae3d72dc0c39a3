"""Programs around the service, none of which a request passes: they start it, change it, ask for its health, end it."""
