"""YAML for Hydra: a folder for each group, a file for each choice in it."""
