"""The ground floor: what any room may need. Imports nothing of ours but ``errors``."""
