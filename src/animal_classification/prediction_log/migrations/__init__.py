"""Revisions of the log's tables, for Alembic."""
