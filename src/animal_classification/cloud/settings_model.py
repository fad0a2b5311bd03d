"""Base class and field types of the settings file."""

from __future__ import annotations

import re
from typing import Annotated, Literal

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


class LoopSchedule(SettingsModel):
    """`animals loop run` on a schedule.

    Attributes:
        cron: When, as cron writes it, in UTC.
        config: The loop's configuration, below its folder.
        until: How far it goes without a person.
        claim: On Kubernetes: the volume claim with the loop's folder: its configuration, the photos, what it makes.
        folder: On GitHub: the same folder in the bucket.
        cpu: Asked for, and the limit.
        memory: The same.
        environment: Variables; secret ones belong under `kubernetes.secrets`, or into GitHub's environment `loop`.
    """

    cron: Annotated[str, Field(pattern=r"^\S+( \S+){4}$")] = "17 3 * * *"
    config: Annotated[str, Field(pattern=r"^[\w./-]+$")] = "loop.yaml"
    until: Literal["gate", "shadow", "canary", "promote"] = "promote"
    claim: Name = "animals-loop"
    folder: Annotated[str, Field(pattern=r"^[\w./-]+$")] = "loop"
    cpu: Cpu = "2"
    memory: Memory = "4Gi"
    environment: dict[Variable, str] = Field(default_factory=dict)
