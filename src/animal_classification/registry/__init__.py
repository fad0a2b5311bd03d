"""The model registry, on MLflow: register, alias, compare, promote, roll back, resolve ``models:/name@alias``."""
