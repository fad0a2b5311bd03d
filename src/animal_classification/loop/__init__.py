"""From what people said of answers to a better model in use, and back: collect, train, gate, shadow, canary, promote.

May import ``sweep``, ``training``, ``monitoring``, ``registry`` and what is below them.
"""
