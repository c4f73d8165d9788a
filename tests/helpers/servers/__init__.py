"""Real servers on free loopback ports, for the tests of the index on a server."""
