"""The closed loop on a schedule: a CronJob on Kubernetes, a workflow on GitHub.

Both run ``animals loop run``, which does what is due and ends. Neither promotes: that is a person's word, unless the
loop's own configuration says ``auto: promote``.
"""

from __future__ import annotations

from typing import Any

from animal_classification.cloud.deploy_settings import DeploySettings
from animal_classification.cloud.documents import Document
from animal_classification.cloud.settings_model import LoopSchedule
from animal_classification.errors import UsageError

_PLACE = "/loop"
_USER = 65532
# Exit code of `animals loop run` where it waits for people: that is no failure.
_WAITING_IS_NO_FAILURE = '"$@"; code=$?; [ "$code" -ne 3 ] || code=0; exit "$code"'
_RUN = """\
code=0
docker run --rm --entrypoint animals --volume "$PWD/loop:/loop" --user "$(id -u):$(id -g)" --env HOME=/tmp \\
  --env ANIMALS_LOG_URL --env ANIMALS_TRACKING_URI "$IMAGE" loop run --config "/loop/$CONFIG" --until "$UNTIL" \\
  | tee -a "$GITHUB_STEP_SUMMARY" || code=$?
if [ "$code" -eq 3 ]; then
  echo "::notice::the loop waits for people; its last line says for what"
  exit 0
fi
exit "$code"
"""


def cron_job(settings: DeploySettings, schedule: LoopSchedule, secrets: list[dict[str, Any]]) -> dict[str, Any]:
    """A CronJob's ``spec``: one run at a time, on a volume that holds ``loop.yaml``, the photos and what comes of them.

    Args:
        settings: All.
        schedule: The loop's part of them.
        secrets: Variables from Secrets, as the server has them: the log's database is among them.
    """
    words = ["animals", "loop", "run", "--config", f"{_PLACE}/{schedule.config}", "--until", schedule.until]
    # A wrong call stays wrong; whatever else failed is tried again, and goes on where it was.
    policy = {"rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [2]}}]}
    container = {
        "name": "loop",
        "image": settings.images.train,
        "command": ["sh", "-c", _WAITING_IS_NO_FAILURE, "loop", *words],
        "env": [{"name": "HOME", "value": "/tmp"}, *_variables(schedule), *secrets],  # noqa: S108 - in the container
        "resources": {
            "requests": {"cpu": schedule.cpu, "memory": schedule.memory},
            "limits": {"cpu": schedule.cpu, "memory": schedule.memory},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - in the container
            {"name": "loop", "mountPath": _PLACE},
        ],
    }
    pod = {
        "serviceAccountName": settings.name,
        "automountServiceAccountToken": False,
        "restartPolicy": "Never",
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [
            {"name": "tmp", "emptyDir": {"sizeLimit": "4Gi"}},
            {"name": "loop", "persistentVolumeClaim": {"claimName": schedule.claim}},
        ],
    }
    job = {"backoffLimit": 2, "activeDeadlineSeconds": 6 * 3600, "podFailurePolicy": policy, "template": {"spec": pod}}
    return {
        "schedule": schedule.cron,
        "concurrencyPolicy": "Forbid",
        "startingDeadlineSeconds": 3600,
        "successfulJobsHistoryLimit": 3,
        "failedJobsHistoryLimit": 3,
        "jobTemplate": {"spec": job},
    }


def _variables(schedule: LoopSchedule) -> list[dict[str, Any]]:
    return [{"name": name, "value": value} for name, value in schedule.environment.items()]


def workflow(settings: DeploySettings) -> list[Document]:
    """The workflow for ``.github/workflows``: fetch the loop's folder from the bucket, run, put it back.

    Raises:
        UsageError: The settings say nothing of the loop.
    """
    if settings.loop is None:
        raise UsageError("the settings have no loop: add loop: with its cron:, or loop: {} for what is usual")
    schedule = settings.loop
    place = f"gs://{settings.bucket}/{schedule.folder}"
    sync = 'gcloud storage rsync --recursive --exclude "(^|/)lock$"'
    steps: list[dict[str, Any]] = [
        {
            "uses": "google-github-actions/auth@v3",
            "with": {
                "workload_identity_provider": "${{ vars.GCP_PROVIDER }}",
                "service_account": "${{ vars.GCP_LOOP_ACCOUNT }}",
            },
        },
        {"uses": "google-github-actions/setup-gcloud@v3"},
        {"run": f'mkdir -p loop && {sync} "$PLACE" loop', "env": {"PLACE": place}},
        {"run": f'gcloud auth configure-docker --quiet "{settings.region}-docker.pkg.dev"'},
        {
            "run": _RUN,
            "shell": "bash",
            "env": {
                "IMAGE": settings.images.train,
                "CONFIG": schedule.config,
                "UNTIL": schedule.until,
                "ANIMALS_LOG_URL": "${{ secrets.ANIMALS_LOG_URL }}",
                "ANIMALS_TRACKING_URI": "${{ secrets.ANIMALS_TRACKING_URI }}",
            },
        },
        # Also where the run failed: each transition that is written down counts.
        {"if": "always()", "run": f'{sync} loop "$PLACE"', "env": {"PLACE": place}},
    ]
    body = {
        "name": "Loop",
        "on": {"schedule": [{"cron": schedule.cron}], "workflow_dispatch": {}},
        "permissions": {},
        "concurrency": {"group": "animals-loop", "cancel-in-progress": False},
        "jobs": {
            "run": {
                "runs-on": "ubuntu-latest",
                "timeout-minutes": 350,
                "environment": "loop",
                "permissions": {"contents": "read", "id-token": "write"},
                "steps": steps,
            }
        },
    }
    return [Document("github", "animals-loop.yml", body)]
