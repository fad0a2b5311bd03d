"""What the prediction log says of a model in use.

May import ``prediction_log``, ``data``, ``bundle``, ``inference``, ``settings`` and ``errors``. It stands below
``serving``, whose page shows what is computed here; a log can be read without any server.
"""
