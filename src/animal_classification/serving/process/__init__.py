"""One process or several on a port: connections, start, shutdown."""
