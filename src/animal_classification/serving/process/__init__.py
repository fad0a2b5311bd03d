"""Processes and connections: start, shutdown, workers on one port, bounds on clients and memory."""
