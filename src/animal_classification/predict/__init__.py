"""Predictions for whole folders: a request in, rows out, journal and resume between; nothing here prints.

May import ``inference``, ``registry`` and what is below them.
"""
