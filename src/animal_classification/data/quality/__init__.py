"""Checks of a data set, with findings as plain values."""
