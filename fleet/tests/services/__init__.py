"""Real services for the tests, each started in a directory of its own on loopback."""
