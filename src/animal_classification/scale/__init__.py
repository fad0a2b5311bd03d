"""Work on many machines: batches in shards, done by any number of workers, of which any may die.

``plan`` says what there is to do, ``lease`` who does it, ``shard_job`` does it, ``storage`` is where all of it lies.

May import ``predict``, ``evaluation`` and what is below them.
"""
