"""The model registry: register, alias, compare, promote, roll back, resolve ``models:/name@alias``; MLflow underneath."""
