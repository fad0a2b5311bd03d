"""The log of predictions and feedback: the files that rows wait in, the database, its migrations, queries.

May import ``errors`` and ``settings``. It stands below ``inference`` because ``serving`` writes here and ``monitoring``
reads, and neither of the two needs the other's code to do so. Importing the package imports no SQLAlchemy.
"""
