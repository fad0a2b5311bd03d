"""What the prediction log says of a model in use; it can be read without a server.

May import ``prediction_log``, ``evaluation``, ``inference``, ``data``, ``bundle`` and what is below them.
"""
