"""When and where a photo was taken, by which camera: times, deployments, bursts, events, smoothing.

May import ``taxonomy``, ``data`` and what is below them.
"""
