"""Where labels stand in the tree of life: lineages, roll-up to a taxon, species lists, geofences.

May import ``data``, ``bundle`` and what is below them.
"""
