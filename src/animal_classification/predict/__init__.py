"""The parts of ``animals predict``: what was asked for, where rows go, and what is said meanwhile and at the end."""
