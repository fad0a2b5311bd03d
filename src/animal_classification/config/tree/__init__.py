"""YAML for Hydra, found as a package: ``train.yaml`` is the root, each folder a group to choose from."""
