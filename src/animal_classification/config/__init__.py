"""What a training run is told: a Hydra tree of YAML (`train.yaml`, `tree/`) and the typed schema that checks it.

May import `common` and `errors`; deployment settings (hosts, ports, keys) are in `settings`.
"""
