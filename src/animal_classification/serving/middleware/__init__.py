"""The layers around every route: authorization, rates, host names, bounds, the access log."""
