"""The local stack, the demo on it, and the Prometheus rules."""
