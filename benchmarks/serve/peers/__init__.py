"""The servers that ours is compared with: the same network behind the same kind of upload, as people write them.

They run in an environment of their own (`make peers`) and know nothing of ``animal_classification``. Each answers a
multipart photo with ``{"predictions": [{"label": …, "probability": …, "top": […]}]}``, and is started by
``python -m benchmarks.serve.peers.NAME --bundle FOLDER --port N``.
"""
