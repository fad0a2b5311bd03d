"""Environment variables of a server in a container, and checks that settings can work."""

from __future__ import annotations

import math
from collections.abc import Sequence

from animal_classification.cloud.deploy_settings import DeploySettings
from animal_classification.cloud.kubernetes_settings import KEYS
from animal_classification.errors import UsageError

SECRETS = "/secrets"
MIB = 1024 * 1024
# As `serving.sizing` divides what is left beside the process; said here, because a container's /tmp may be memory, too.
_PROCESS = 384 * MIB
_LEAST = 256 * MIB
_MAX_BODIES = 512 * MIB
_TRUE = {"1", "true", "yes", "on"}


def environment(
    settings: DeploySettings, *, cpu: str, memory: str, hosts: Sequence[str], temporary: int = 0
) -> dict[str, str]:
    """The server's variables.

    Args:
        settings: The settings file.
        cpu: Of one container, as Kubernetes writes it.
        memory: The same.
        hosts: Names that the place gives to the service by itself.
        temporary: Bytes of the container's memory that its ``/tmp`` may take.

    Raises:
        UsageError: The memory is too small for a server.
    """
    return {
        "ANIMALS_MODEL": settings.service.model,
        "ANIMALS_THREADS": str(processors(cpu)),
        "ANIMALS_ALLOWED_HOSTS": ",".join((*hosts, *settings.service.hosts)),
        **_memory_bounds(memory, temporary),
        **settings.service.environment,
    }


def processors(quantity: str) -> int:
    """Whole processors in a quantity such as ``2``, ``0.5`` or ``1500m``; part of one counts as one."""
    cores = float(quantity[:-1]) / 1000 if quantity.endswith("m") else float(quantity)
    return max(1, math.ceil(cores))


def byte_count(quantity: str) -> int:
    """Bytes in a quantity such as ``2Gi`` or ``512Mi``."""
    return int(quantity[:-2]) * (1024 * MIB if quantity.endswith("Gi") else MIB)


def _memory_bounds(memory: str, temporary: int) -> dict[str, str]:
    """Half of what is left is for decoding, a quarter for bodies; the rest is room for a second model."""
    left = byte_count(memory) - temporary - _PROCESS
    if left < _LEAST:
        needed = (_PROCESS + temporary + _LEAST) // MIB
        raise UsageError(f"memory: {memory} is too small for a server; give it {needed}Mi or more")
    bodies = min(_MAX_BODIES, left // 4)
    return {
        "ANIMALS_MAX_MEMORY_BYTES": str(bodies),
        "ANIMALS_MAX_REQUEST_BYTES": str(min(bodies, 256 * MIB)),
        "ANIMALS_MAX_DECODE_BYTES": str(left // 2),
    }


def check_settings(settings: DeploySettings, target: str) -> None:
    """Make sure that what is rendered can work.

    Raises:
        UsageError: It cannot; says which key to change.
    """
    if target == "k8s":
        _require_secrets(settings)
        _require_metrics_key(settings)
        _require_shared_log(settings, set(settings.kubernetes.secrets), settings.kubernetes.max_replicas)
    elif target == "cloudrun":
        if settings.alerts.prometheus and needs_api_keys(settings) and settings.alerts.metrics_key is None:
            raise UsageError(
                "alerts.metrics_key: the server asks for keys, and /metrics too; name a secret that holds one with the "
                "scope 'metrics' (animals keys create --scope metrics)"
            )
        _require_shared_log(settings, set(settings.service.secrets), settings.service.max_instances)
        _require_judge(settings)


def needs_api_keys(settings: DeploySettings) -> bool:
    """Whether the server that is deployed answers only who has an API key."""
    return "ANIMALS_KEYS_FILE" in settings.service.environment


def _require_judge(settings: DeploySettings) -> None:
    """Cloud Scheduler has a token of Google's, and keeps no secrets."""
    environment = settings.service.environment
    if settings.drift is not None and needs_api_keys(settings):
        raise UsageError(
            "drift: the server asks for API keys, and Cloud Scheduler has nowhere to keep one; leave drift out, and "
            'let the service judge by itself: service.environment.ANIMALS_DRIFT_EVERY: "15m", with min_instances: 1'
        )
    if settings.drift is not None and environment.get("ANIMALS_PREDICTION_LOG", "") not in {"1", "true", "yes", "on"}:
        raise UsageError(
            "drift: is judged on the prediction log; switch it on with service.environment.ANIMALS_PREDICTION_LOG"
        )
    if "ANIMALS_DRIFT_EVERY" in environment and settings.service.min_instances == 0:
        raise UsageError(
            "service.environment.ANIMALS_DRIFT_EVERY: an instance without requests has no processor here; set "
            "min_instances: 1, or have Cloud Scheduler ask (drift: {url: …})"
        )


def _require_secrets(settings: DeploySettings) -> None:
    """Secret Manager is Google's: each of its secrets needs a counterpart in the cluster."""
    for name in settings.service.secrets:
        if name not in settings.kubernetes.secrets:
            raise UsageError(
                f"service.secrets.{name}: comes from Secret Manager, which a cluster does not have; say which Secret "
                f"holds it there (kubernetes.secrets: {{{name}: NAME/KEY}})"
            )
    for name in settings.service.secret_files:
        if name not in settings.kubernetes.files:
            key = "keys_secret: NAME" if name == KEYS else f"secret_files: {{{name}: NAME/KEY}}"
            raise UsageError(
                f"service.secret_files.{name}: comes from Secret Manager, which a cluster does not have; say which "
                f"Secret holds it there (kubernetes.{key})"
            )


def _require_metrics_key(settings: DeploySettings) -> None:
    asked = settings.kubernetes.metrics
    if asked.collector == "none" or not (needs_api_keys(settings) or settings.kubernetes.keys_secret):
        return
    if asked.collector == "annotations":
        raise UsageError(
            "kubernetes.metrics.collector: the server asks for keys, and annotations cannot send one; choose "
            "'prometheus-operator' or 'google' with a key, or 'none'"
        )
    if asked.key is None:
        raise UsageError(
            "kubernetes.metrics.key: the server asks for keys, and /metrics too; name the Secret and its key that "
            "holds one with the scope 'metrics' (animals keys create --scope metrics)"
        )


def _require_shared_log(settings: DeploySettings, secrets: set[str], copies: int) -> None:
    """A container's disk goes with it, and no other replica sees it."""
    values = settings.service.environment
    if values.get("ANIMALS_PREDICTION_LOG", "").strip().casefold() not in _TRUE:
        return
    why = f"up to {copies} replicas would each keep one of their own" if copies > 1 else "it goes with the container"
    if "ANIMALS_LOG_URL" not in {*values, *secrets}:
        raise UsageError(
            f"service.environment.ANIMALS_PREDICTION_LOG: without a database {why}; set ANIMALS_LOG_URL to a "
            "postgresql:// address, or leave the log off"
        )
    if values.get("ANIMALS_LOG_URL", "").startswith("sqlite"):
        raise UsageError(f"service.environment.ANIMALS_LOG_URL: a SQLite file is in the container, and {why}")
    if values.get("ANIMALS_KEEP_PHOTOS", "no") != "no" and "ANIMALS_PHOTOS_URL" not in {*values, *secrets}:
        raise UsageError(
            f"service.environment.ANIMALS_KEEP_PHOTOS: in the container's own folder {why}; set ANIMALS_PHOTOS_URL to "
            f"a bucket, such as gs://{settings.bucket}/photos"
        )
