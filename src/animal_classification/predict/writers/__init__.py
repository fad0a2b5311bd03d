"""One file for each format of a table, and ``table_file``, which makes any of them on disk."""
