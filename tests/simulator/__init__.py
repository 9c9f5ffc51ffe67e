"""The simulator, driven by the clients that users have."""
