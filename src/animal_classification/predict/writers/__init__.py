"""Where rows go: a file of each format, the screen, one JSON object."""
