"""What a training run is told: a Hydra tree of YAML (``tree/``) and the typed schema that checks what comes out of it.

May import ``errors`` only; deployment settings (hosts, ports, keys) are in ``settings``.
"""
