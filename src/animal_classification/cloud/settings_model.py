"""Base class and field types of the settings file."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

_TAGGED = re.compile(r".+(@sha256:[0-9a-f]{64}|:[\w][\w.-]{0,127})")
Name = Annotated[str, Field(pattern=r"^[a-z]([a-z0-9-]{0,40}[a-z0-9])?$")]
Image = Annotated[str, Field(pattern=_TAGGED.pattern)]
Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
# NAME or NAME/VERSION of a secret in Secret Manager.
Secret = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,255}(/(latest|[0-9]+))?$")]
# NAME/KEY of a Secret of Kubernetes.
SecretKey = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/[-._a-zA-Z0-9]{1,253}$")]
Host = Annotated[str, Field(pattern=r"^(\*\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$")]
File = Annotated[str, Field(pattern=r"^[\w.-]+$")]
Cpu = Annotated[str, Field(pattern=r"^([0-9]+|[0-9]*\.[0-9]+|[0-9]+m)$")]
Memory = Annotated[str, Field(pattern=r"^[0-9]+(Mi|Gi)$")]


class SettingsModel(BaseModel):
    """Base of all parts: frozen, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")
