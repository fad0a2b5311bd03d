"""What is around every route: rights, rates, names, bounds, the access log."""
