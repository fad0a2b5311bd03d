"""Drift: whether photos still look like those that a model was measured on, how they differ, and what that costs.

A window of photos is compared with a reference that the model has not learned from. Open ``judge.py`` first. All of it
needs NumPy alone, because a server that judges has no SciPy; the tests compare with SciPy.
"""
