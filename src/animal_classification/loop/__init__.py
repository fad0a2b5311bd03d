"""The closed loop: from people's corrections to a better model in use, step by step, and back again if it is not.

``config`` is what an operator sets. ``runner`` does what is due and ends: it collects labels (``collection``), trains,
compares the candidate with what is in production (``gate``), lets both answer the same photos (``evidence``,
``canary``) and stops before it promotes. ``ledger`` keeps each transition in a hash chain.

May import ``training``, ``registry``, ``evaluation``, ``monitoring``, ``prediction_log``, ``data`` and what is below.
"""
