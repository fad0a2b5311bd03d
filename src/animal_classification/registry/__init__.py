"""The model registry, on MLflow: register, alias, compare, promote, roll back, resolve ``models:/name@alias``.

May import ``bundle``, ``settings`` and ``errors``. Names are resolved on first use, and MLflow is imported when the
registry is asked something.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from animal_classification.registry.alias_watch import AliasWatch
    from animal_classification.registry.comparison import VersionComparison, compare
    from animal_classification.registry.mlflow_client import tracking_uri
    from animal_classification.registry.model_version import Version
    from animal_classification.registry.promotion import Change, promote, rollback
    from animal_classification.registry.registration import Registration, register, register_if_better
    from animal_classification.registry.resolver import find_bundle, local_bundle, resolve, resolve_model
    from animal_classification.registry.store import Registry

_HOME = {
    "AliasWatch": "alias_watch",
    "Change": "promotion",
    "VersionComparison": "comparison",
    "Registration": "registration",
    "Registry": "store",
    "Version": "model_version",
    "compare": "comparison",
    "find_bundle": "resolver",
    "local_bundle": "resolver",
    "promote": "promotion",
    "register": "registration",
    "register_if_better": "registration",
    "resolve": "resolver",
    "resolve_model": "resolver",
    "rollback": "promotion",
    "tracking_uri": "mlflow_client",
}
__all__ = [
    "AliasWatch",
    "Change",
    "Registration",
    "Registry",
    "Version",
    "VersionComparison",
    "compare",
    "find_bundle",
    "local_bundle",
    "promote",
    "register",
    "register_if_better",
    "resolve",
    "resolve_model",
    "rollback",
    "tracking_uri",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
