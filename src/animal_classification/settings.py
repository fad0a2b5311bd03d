"""Deployment settings: where and how a server runs, from the environment (never what a model computes).

Every field is read from ``ANIMALS_`` and its name in capitals: ``ANIMALS_PORT=9000``. Options on the command line win.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, get_type_hints

from animal_classification.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

MIB = 1024 * 1024
PREFIX = "ANIMALS_"
_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What an operator decides.

    Attributes:
        host: Address to listen on; only this machine by default.
        port: TCP port; 0 takes a free one.
        model: What ``Classifier.load`` takes.
        engine: ``auto``, ``openvino`` or ``onnxruntime``.
        threads: CPUs to use; 0 for all that the process may use.
        page: Serve the web page beside the API.
        max_files: Photos in one request.
        max_file_bytes: Bytes of one photo; a larger one is refused alone.
        max_request_bytes: Bytes of a whole request body; held in memory, so this bounds what one client can claim.
        tracking_uri: MLflow's, for runs and the model registry; empty for SQLite in the output folder.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    model: str = "photos"
    engine: str = "auto"
    threads: int = 0
    page: bool = True
    max_files: int = 64
    max_file_bytes: int = 32 * MIB
    max_request_bytes: int = 256 * MIB
    tracking_uri: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise UsageError(f"port must be between 0 and 65535, not {self.port}")
        if self.threads < 0:
            raise UsageError(f"threads must be 0 (all) or more, not {self.threads}")
        for name in ("max_files", "max_file_bytes", "max_request_bytes"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be at least 1, not {getattr(self, name)}")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """Read the settings that the environment names; the others keep their defaults.

        Raises:
            UsageError: A value cannot be read; names the variable.
        """
        types = get_type_hints(cls)
        values: dict[str, Any] = {}
        for field in fields(cls):
            variable = PREFIX + field.name.upper()
            if text := environment.get(variable, "").strip():
                values[field.name] = _parse(variable, text, types[field.name])
        return cls(**values)


def _parse(variable: str, text: str, kind: type) -> str | int | bool:
    if kind is bool:
        word = text.casefold()
        if word not in _TRUE | _FALSE:
            raise UsageError(f"{variable} must be 1 or 0, not {text!r}")
        return word in _TRUE
    if kind is int:
        try:
            return int(text)
        except ValueError:
            raise UsageError(f"{variable} must be a whole number, not {text!r}") from None
    return text
