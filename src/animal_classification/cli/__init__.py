"""The command line: one file per command, which parses, calls one function and prints.

May import every room, but only inside the functions that need it: ``animals --help`` must not wait for an engine.
"""
