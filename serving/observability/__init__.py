"""What the service lets be seen from outside: metrics, traces, times, readiness, and errors without what they say."""
