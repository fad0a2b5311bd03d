"""The ground floor: what any room may need, and what needs nothing of ours but ``errors``."""
