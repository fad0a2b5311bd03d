"""From labelled photos to a bundle: recipes, runs that survive, tracking, sweeps.

``training.neural`` is the only place that imports torch; it is looked up by name, so that ``animals train`` works
without it. May import ``data``, ``bundle``, ``inference``, ``registry``, ``imaging``, ``config`` and ``errors``.
"""
