"""Cloud Scheduler asks the service to judge drift, as an account that may call this service and nothing else."""

from __future__ import annotations

from animal_classification.cloud.deploy_settings import DeploySettings
from animal_classification.cloud.documents import Document

PATH = "/v1/drift/judge"


def jobs(settings: DeploySettings) -> list[Document]:
    """The scheduler's job, where the settings want one."""
    asked = settings.drift
    if asked is None:
        return []
    body = {
        "name": f"{settings.parent}/jobs/{settings.name}-drift",
        "description": "Has drift judged on the photos that came since the last time",
        "schedule": asked.schedule,
        "timeZone": asked.time_zone,
        "attemptDeadline": "60s",
        "retryConfig": {"retryCount": 2, "minBackoffDuration": "10s"},
        "httpTarget": {
            "uri": asked.url + PATH,
            "httpMethod": "POST",
            "oidcToken": {"serviceAccountEmail": settings.account("judge"), "audience": asked.url},
        },
    }
    return [Document("scheduler-job", f"{settings.parent}/jobs/{settings.name}-drift", body)]
