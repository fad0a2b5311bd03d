"""How each kind of document is looked up, made and changed, through Google's own client libraries."""

# Imported where they are used: Google's client libraries are an extra.

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

from animal_classification.cloud import rest_resources
from animal_classification.cloud.documents import Document
from animal_classification.cloud.message_types import as_dict, find, message

Connect = Callable[[Any, str], Any]


def connect(client: Any, region: str) -> Any:
    """A client that is signed in as this machine is; Vertex AI has an address for each region."""
    if client.__name__ == "JobServiceClient":
        return client(client_options={"api_endpoint": f"{region}-aiplatform.googleapis.com"})
    return client()


class Resources:
    """The cloud, one method for each thing that is done to it.

    Args:
        project: Google's id of the project.
        region: Where things are.
        connect: Makes a client; tests lead it to this machine.
    """

    def __init__(self, project: str, region: str, connect: Connect = connect) -> None:
        self._project, self._region, self._connect = project, region, connect

    def _client(self, place: str) -> Any:
        return self._connect(find(place), self._region)

    @cached_property
    def run(self) -> Any:
        return self._client("google.cloud.run_v2:ServicesClient")

    @cached_property
    def run_jobs(self) -> Any:
        return self._client("google.cloud.run_v2:JobsClient")

    @cached_property
    def revisions(self) -> Any:
        return self._client("google.cloud.run_v2:RevisionsClient")

    @cached_property
    def registry(self) -> Any:
        return self._client("google.cloud.artifactregistry_v1:ArtifactRegistryClient")

    @cached_property
    def builds(self) -> Any:
        return self._client("google.cloud.devtools.cloudbuild_v1:CloudBuildClient")

    @cached_property
    def policies(self) -> Any:
        return self._client("google.cloud.monitoring_v3:AlertPolicyServiceClient")

    @cached_property
    def accounts(self) -> Any:
        return self._client("google.cloud.iam_admin_v1:IAMClient")

    @cached_property
    def secrets(self) -> Any:
        return self._client("google.cloud.secretmanager_v1:SecretManagerServiceClient")

    @cached_property
    def projects(self) -> Any:
        return self._client("google.cloud.resourcemanager_v3:ProjectsClient")

    @cached_property
    def jobs(self) -> Any:
        return self._client("google.cloud.aiplatform_v1:JobServiceClient")

    @cached_property
    def storage(self) -> Any:
        return self._client("google.cloud.storage:Client")

    @cached_property
    def session(self) -> rest_resources.Session:
        return rest_resources.signed_in()

    # ---------------------------------------------------------------------------------------------------------- find

    def get(self, document: Document) -> Any | None:
        """What is there under a document's name; ``None`` for nothing, and for jobs, which are always new."""
        from google.api_core.exceptions import NotFound

        if document.kind in {"vertex-job", "vertex-study"}:
            return None
        if document.kind in rest_resources.KINDS:
            return rest_resources.get(self.session, document)
        try:
            return self._get(document)
        except NotFound:
            return None

    def _get(self, document: Document) -> Any | None:
        name = document.name
        if document.is_rights:
            return self._get_rights(document)
        match document.kind:
            case "run-service" | "run-job":
                get = self.run.get_service if document.kind == "run-service" else self.run_jobs.get_job
                return get(request={"name": name})
            case "repository":
                return self.registry.get_repository(request={"name": name})
            case "service-account":
                return self.accounts.get_service_account(request={"name": name})
            case "build-trigger":
                parent = name.rpartition("/triggers/")[0]
                asked = {"parent": parent, "project_id": self._project}
                found = self.builds.list_build_triggers(request=asked)
                return next((one for one in found if one.name == document.body["name"]), None)
            case _:
                found = self.policies.list_alert_policies(request={"name": f"projects/{self._project}"})
                labels = document.body["userLabels"]
                return next((one for one in found if labels.items() <= dict(one.user_labels).items()), None)

    # ----------------------------------------------------------------------------------------------------------- put

    def put(self, document: Document, there: Any | None) -> None:
        """Make a document, or change what is there into it."""
        if document.kind in rest_resources.KINDS:
            rest_resources.put(self.session, document, there)
            return
        wanted = message(document)
        if document.is_rights:
            self._put_rights(document, there, wanted)
            return
        parent, _, last = document.name.rpartition("/")
        parent = parent.rpartition("/")[0]
        match document.kind:
            case "run-service":
                self._put_service(document.name, parent, last, wanted, there)
            case "run-job":
                self._put_run_job(document.name, parent, last, wanted, there)
            case "repository":
                self._put_repository(document.name, parent, last, wanted, there)
            case "service-account":
                self._put_account(document.name, last, wanted, there)
            case "build-trigger":
                self._put_trigger(parent, wanted, there)
            case "alert-policy":
                self._put_alert(wanted, there)
            case "vertex-job":
                self.jobs.create_custom_job(request={"parent": parent, "custom_job": wanted})
            case _:
                asked = {"parent": parent, "hyperparameter_tuning_job": wanted}
                self.jobs.create_hyperparameter_tuning_job(request=asked)

    def _put_service(self, name: str, parent: str, last: str, wanted: Any, there: Any | None) -> None:
        if there is None:
            asked = {"parent": parent, "service_id": last, "service": wanted}
            self.run.create_service(request=asked).result()
            return
        wanted.name = name
        self.run.update_service(request={"service": wanted}).result()

    def _put_run_job(self, name: str, parent: str, last: str, wanted: Any, there: Any | None) -> None:
        if there is None:
            self.run_jobs.create_job(request={"parent": parent, "job_id": last, "job": wanted}).result()
            return
        wanted.name = name
        self.run_jobs.update_job(request={"job": wanted}).result()

    def _put_repository(self, name: str, parent: str, last: str, wanted: Any, there: Any | None) -> None:
        if there is None:
            asked = {"parent": parent, "repository_id": last, "repository": wanted}
            self.registry.create_repository(request=asked).result()
            return
        wanted.name = name
        mask = {"paths": ["description", "labels", "cleanup_policies", "docker_config"]}
        self.registry.update_repository(request={"repository": wanted, "update_mask": mask})

    def _put_account(self, name: str, last: str, wanted: Any, there: Any | None) -> None:
        if there is None:
            project = f"projects/{self._project}"
            asked = {"name": project, "account_id": last.partition("@")[0], "service_account": wanted}
            self.accounts.create_service_account(request=asked)
            return
        wanted.name = name
        mask = {"paths": ["display_name", "description"]}
        self.accounts.patch_service_account(request={"service_account": wanted, "update_mask": mask})

    def _put_trigger(self, parent: str, wanted: Any, there: Any | None) -> None:
        asked = {"project_id": self._project, "trigger": wanted}
        if there is None:
            self.builds.create_build_trigger(request={"parent": parent, **asked})
            return
        wanted.id, wanted.resource_name = there.id, there.resource_name
        self.builds.update_build_trigger(request={"trigger_id": there.id, **asked})

    def _put_alert(self, wanted: Any, there: Any | None) -> None:
        if there is None:
            asked = {"name": f"projects/{self._project}", "alert_policy": wanted}
            self.policies.create_alert_policy(request=asked)
            return
        wanted.name = there.name
        self.policies.update_alert_policy(request={"alert_policy": wanted})

    # -------------------------------------------------------------------------------------------------------- rights

    def _owner(self, document: Document) -> Any:
        owners = {
            "project-policy": "projects",
            "repository-policy": "registry",
            "run-service-policy": "run",
            "secret-policy": "secrets",
            "service-account-policy": "accounts",
        }
        return getattr(self, owners[document.kind])

    def _get_rights(self, document: Document) -> Any:
        if document.kind == "bucket-policy":
            return self.storage.bucket(document.name).get_iam_policy(requested_policy_version=3)
        return self._owner(document).get_iam_policy(
            request={"resource": document.name, "options": {"requested_policy_version": 3}}
        )

    def _put_rights(self, document: Document, there: Any, wanted: Any) -> None:
        """Add what is missing, and take away what is ours to take; rights that somebody else gave stay."""
        if document.kind == "bucket-policy":
            for binding in wanted.bindings:
                there.bindings = added(there.bindings, binding.role, list(binding.members))
            self.storage.bucket(document.name).set_iam_policy(there)
            return
        for binding in wanted.bindings:
            known = _unconditional(there, binding.role)
            if known is None:
                there.bindings.add(role=binding.role, members=binding.members)
            else:
                known.members.extend(member for member in binding.members if member not in known.members)
        for role, members in document.absent.items():
            _take(there, role, members)
        there.version = 3  # or conditions of others would be lost
        self._owner(document).set_iam_policy(request={"resource": document.name, "policy": there})


def _unconditional(policy: Any, role: str) -> Any | None:
    same = (one for one in policy.bindings if one.role == role and not one.condition.expression)
    return next(same, None)


def _take(policy: Any, role: str, members: list[str]) -> None:
    if (known := _unconditional(policy, role)) is None:
        return
    left = [member for member in known.members if member not in members]
    del known.members[:]
    known.members.extend(left)
    if not left:
        policy.bindings.remove(known)


def bindings_of(policy: Any) -> list[dict[str, Any]]:
    """The bindings of a policy: of a bucket's as its library has them, of all others from their message."""
    if isinstance(policy.bindings, list):
        return policy.bindings
    found: list[dict[str, Any]] = as_dict(policy).get("bindings", [])
    return found


def added(bindings: list[dict[str, Any]], role: str, members: list[str]) -> list[dict[str, Any]]:
    """The bindings of a bucket with some more members of a role; those under a condition stay as they are."""
    known = next((one for one in bindings if one["role"] == role and not one.get("condition")), None)
    rest = [one for one in bindings if one is not known]
    return [*rest, {"role": role, "members": sorted({*(known["members"] if known else ()), *members})}]
