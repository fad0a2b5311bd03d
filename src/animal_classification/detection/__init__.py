"""Animals in a picture as boxes: detectors, their kinds of graphs, crops.

May import ``inference`` and what is below it.
"""
