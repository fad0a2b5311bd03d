"""Work on many machines: batches in shards, and processes that are started together.

May import ``predict``, ``evaluation`` and what is below them.
"""
