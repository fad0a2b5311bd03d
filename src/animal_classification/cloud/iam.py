"""Who may do what: a service account for each task, and the least rights that it needs, on single resources.

api     reads models from the bucket and the secrets that it is given; writes metrics where they are collected
train   reads data and writes runs, in the bucket
push    writes images to the repository
data    reads the bucket, for GitHub's checks of data and models
judge   has the API judge drift, and may call nothing else
"""

from __future__ import annotations

from animal_classification.cloud.deploy_settings import DeploySettings
from animal_classification.cloud.documents import Document

ACCOUNTS = {
    "api": "Answers photos",
    "train": "Trains models",
    "push": "Builds and pushes images",
    "data": "Checks data and models",
    "judge": "Has drift judged",
}


def accounts(settings: DeploySettings, *roles: str) -> list[Document]:
    """The accounts themselves."""
    return [
        Document(
            "service-account",
            f"projects/{settings.project}/serviceAccounts/{settings.account(role)}",
            {"displayName": f"{settings.name}: {ACCOUNTS[role]}", "description": ACCOUNTS[role]},
        )
        for role in roles
    ]


def service_bindings(settings: DeploySettings) -> list[Document]:
    """What the API and those who deliver it may do."""
    bindings = [
        _binding("bucket", settings.bucket, {"roles/storage.objectViewer": [settings.account("api")]}),
        _binding(
            "repository",
            f"{settings.parent}/repositories/{settings.repository}",
            {"roles/artifactregistry.writer": [settings.account("push")]},
        ),
    ]
    secrets = {*settings.service.secrets.values(), *settings.service.secret_files.values()}
    names = sorted({value.partition("/")[0] for value in secrets})
    bindings += [_secret_reader(settings, name) for name in names]
    return [*bindings, *_photo_bucket(settings), _invokers(settings)]


def _photo_bucket(settings: DeploySettings) -> list[Document]:
    """Photos that are kept for the review are written to a bucket, and deleted there."""
    scheme, _, rest = settings.service.environment.get("ANIMALS_PHOTOS_URL", "").partition("://")
    bucket = rest.partition("/")[0]
    rights = {"roles/storage.objectUser": [settings.account("api")]}
    return [_binding("bucket", bucket, rights)] if scheme in {"gs", "gcs"} and bucket else []


def _invokers(settings: DeploySettings) -> Document:
    """Everybody may ask, or everybody may not: `public: false` takes the right away that `public: true` gave."""
    resource = f"{settings.parent}/services/{settings.name}"
    everybody = {"roles/run.invoker": ["allUsers"]}
    if settings.service.public:
        return _binding("run-service", resource, everybody)
    return Document("run-service-policy", resource, {"bindings": []}, absent=everybody)


def metrics_bindings(settings: DeploySettings) -> list[Document]:
    """The collector beside the API writes metrics, which Google allows for whole projects only."""
    if not settings.alerts.prometheus:
        return []
    found = [
        _binding(
            "project", f"projects/{settings.project}", {"roles/monitoring.metricWriter": [settings.account("api")]}
        )
    ]
    if settings.alerts.metrics_key:
        found.append(_secret_reader(settings, settings.alerts.metrics_key.partition("/")[0]))
    return found


def _secret_reader(settings: DeploySettings, secret: str) -> Document:
    resource = f"projects/{settings.project}/secrets/{secret}"
    return _binding("secret", resource, {"roles/secretmanager.secretAccessor": [settings.account("api")]})


def judge_bindings(settings: DeploySettings) -> list[Document]:
    """The scheduler's account may call this one service, and nothing else."""
    if settings.drift is None:
        return []
    resource = f"{settings.parent}/services/{settings.name}"
    return [_binding("run-service", resource, {"roles/run.invoker": [settings.account("judge")]})]


def training_bindings(settings: DeploySettings) -> list[Document]:
    """What a job on Vertex AI may do."""
    return [_binding("bucket", settings.bucket, {"roles/storage.objectUser": [settings.account("train")]})]


def github_bindings(settings: DeploySettings) -> list[Document]:
    """Workflows of one repository of GitHub may act as two of the accounts; no key is stored anywhere.

    The pool of identities is made once, by hand (docs/deploy.md).
    """
    if settings.github is None:
        return []
    member = (
        f"principalSet://iam.googleapis.com/{settings.github.pool}/attribute.repository/{settings.github.repository}"
    )
    project = f"projects/{settings.project}/serviceAccounts"
    found = [
        _binding("service-account", f"{project}/{settings.account(role)}", {"roles/iam.workloadIdentityUser": [member]})
        for role in ("push", "data")
    ]
    return [*found, _binding("bucket", settings.bucket, {"roles/storage.objectViewer": [settings.account("data")]})]


def _binding(what: str, resource: str, rights: dict[str, list[str]]) -> Document:
    bindings = [{"role": role, "members": [_member(name) for name in names]} for role, names in rights.items()]
    return Document(f"{what}-policy", resource, {"bindings": bindings})


def _member(name: str) -> str:
    return name if ":" in name or name == "allUsers" else f"serviceAccount:{name}"
