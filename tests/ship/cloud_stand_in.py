"""Google Cloud as far as `animals deploy apply` asks for it, on this machine: real gRPC and HTTP, and a memory."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import aiplatform_v1, artifactregistry_v1, iam_admin_v1, monitoring_v3, run_v2
from google.cloud.devtools import cloudbuild_v1
from google.iam.v1 import iam_policy_pb2, policy_pb2
from google.longrunning import operations_pb2


class Refused(Exception):  # noqa: N818 - an answer
    """What the stand-in answers with an error."""

    def __init__(self, code: grpc.StatusCode, why: str) -> None:
        super().__init__(why)
        self.code = code


class StandIn(grpc.GenericRpcHandler):  # type: ignore[misc]
    """All services at one address; `calls` are the methods that changed something."""

    def __init__(self) -> None:
        self.things: dict[str, Any] = {}
        self.rights: dict[str, Any] = {}
        self.bucket_rights: dict[str, Any] = {"kind": "storage#policy", "version": 1, "etag": "CAE=", "bindings": []}
        self.revisions: list[Any] = []
        self.calls: list[str] = []
        self.refuse: set[str] = set()
        self.starts_fail = False
        self._methods = self._table()
        self._server = grpc.server(futures.ThreadPoolExecutor(4))
        self._server.add_generic_rpc_handlers((self,))
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._storage())
        threading.Thread(target=self._http.serve_forever, daemon=True).start()
        self._channels: list[Any] = []

    def close(self) -> None:
        for channel in self._channels:
            channel.close()
        self._server.stop(None).wait()
        self._http.shutdown()
        self._http.server_close()

    def connect(self, client: Any, _region: str) -> Any:
        """A client of Google's, led here."""
        if client.__name__ == "Client":
            options = ClientOptions(api_endpoint=f"http://127.0.0.1:{self._http.server_port}")
            nobody = AnonymousCredentials()  # type: ignore[no-untyped-call]
            return client(project="zoo-project", credentials=nobody, client_options=options)
        channel = grpc.insecure_channel(f"127.0.0.1:{self.port}")
        self._channels.append(channel)
        return client(transport=client.get_transport_class("grpc")(channel=channel))

    # ---------------------------------------------------------------------------------------------------------- gRPC

    def service(self, handler_call_details: Any) -> Any:
        method = handler_call_details.method.rpartition("/")[2]
        service = handler_call_details.method.split("/")[1].rpartition(".")[2]
        if (found := self._methods.get(f"{service}/{method}") or self._methods.get(method)) is None:
            return None
        kind, answer = found

        def handle(request: bytes, context: Any) -> bytes:
            read = kind.FromString if hasattr(kind, "FromString") else kind.deserialize
            try:
                if method in self.refuse:
                    raise Refused(grpc.StatusCode.PERMISSION_DENIED, f"no right to {method}")
                result = answer(read(request))
            except Refused as refused:
                context.abort(refused.code, str(refused))
            if not method.startswith(("Get", "List")):
                self.calls.append(method)
            raw = getattr(result, "_pb", result)
            data: bytes = raw.SerializeToString()
            return data

        return grpc.unary_unary_rpc_method_handler(handle)

    def _table(self) -> dict[str, tuple[Any, Callable[[Any], Any]]]:
        run, registry, build = run_v2, artifactregistry_v1, cloudbuild_v1
        monitoring, iam, ai = monitoring_v3, iam_admin_v1, aiplatform_v1
        return {
            "GetService": (run.GetServiceRequest, lambda asked: self._find(asked.name)),
            "CreateService": (
                run.CreateServiceRequest,
                lambda asked: self._deployed(f"{asked.parent}/services/{asked.service_id}", asked.service),
            ),
            "UpdateService": (
                run.UpdateServiceRequest,
                lambda asked: self._deployed(asked.service.name, asked.service),
            ),
            "GetJob": (run.GetJobRequest, lambda asked: self._find(asked.name)),
            "CreateJob": (
                run.CreateJobRequest,
                lambda asked: _operation(self._keep(f"{asked.parent}/jobs/{asked.job_id}", asked.job)),
            ),
            "UpdateJob": (run.UpdateJobRequest, lambda asked: _operation(self._keep(asked.job.name, asked.job))),
            "ListRevisions": (
                run.ListRevisionsRequest,
                lambda _: run.ListRevisionsResponse(revisions=self.revisions[::-1]),
            ),
            "GetRepository": (registry.GetRepositoryRequest, lambda asked: self._find(asked.name)),
            "CreateRepository": (
                registry.CreateRepositoryRequest,
                lambda asked: _operation(
                    self._keep(f"{asked.parent}/repositories/{asked.repository_id}", asked.repository)
                ),
            ),
            "UpdateRepository": (
                registry.UpdateRepositoryRequest,
                lambda asked: self._keep(asked.repository.name, asked.repository),
            ),
            "ListBuildTriggers": (
                build.ListBuildTriggersRequest,
                lambda _: build.ListBuildTriggersResponse(triggers=self._all(build.BuildTrigger)),
            ),
            "CreateBuildTrigger": (build.CreateBuildTriggerRequest, self._trigger),
            "UpdateBuildTrigger": (
                build.UpdateBuildTriggerRequest,
                lambda asked: self._keep(f"trigger {asked.trigger_id}", asked.trigger, name=False),
            ),
            "ListAlertPolicies": (
                monitoring.ListAlertPoliciesRequest,
                lambda _: monitoring.ListAlertPoliciesResponse(alert_policies=self._all(monitoring.AlertPolicy)),
            ),
            "CreateAlertPolicy": (
                monitoring.CreateAlertPolicyRequest,
                lambda asked: self._keep(f"{asked.name}/alertPolicies/{len(self.things)}", asked.alert_policy),
            ),
            "UpdateAlertPolicy": (
                monitoring.UpdateAlertPolicyRequest,
                lambda asked: self._keep(asked.alert_policy.name, asked.alert_policy),
            ),
            "GetServiceAccount": (iam.GetServiceAccountRequest, lambda asked: self._find(asked.name)),
            "CreateServiceAccount": (iam.CreateServiceAccountRequest, self._account),
            "PatchServiceAccount": (
                iam.PatchServiceAccountRequest,
                lambda asked: self._keep(asked.service_account.name, asked.service_account),
            ),
            "GetIamPolicy": (iam_policy_pb2.GetIamPolicyRequest, self._get_rights),
            "SetIamPolicy": (iam_policy_pb2.SetIamPolicyRequest, self._set_rights),
            "CreateCustomJob": (
                ai.CreateCustomJobRequest,
                lambda asked: self._keep(f"{asked.parent}/customJobs/1", asked.custom_job),
            ),
            "CreateHyperparameterTuningJob": (
                ai.CreateHyperparameterTuningJobRequest,
                lambda asked: self._keep(f"{asked.parent}/hyperparameterTuningJobs/1", asked.hyperparameter_tuning_job),
            ),
        }

    def _find(self, name: str) -> Any:
        if name not in self.things:
            raise Refused(grpc.StatusCode.NOT_FOUND, f"{name} does not exist")
        return self.things[name]

    def _keep(self, key: str, thing: Any, *, name: bool = True) -> Any:
        if name:
            thing.name = key
        self.things[key] = thing
        return thing

    def _all(self, kind: Any) -> list[Any]:
        return [thing for thing in self.things.values() if isinstance(thing, kind)]

    def _deployed(self, name: str, service: Any) -> Any:
        known = self.things.get(name)
        if known is None or known.template != service.template:
            revision = run_v2.Revision(name=f"{name}/revisions/{service.name or name}-{len(self.revisions) + 1:05}")
            revision.name = f"{name}/revisions/animals-{len(self.revisions) + 1:05}"
            ready = "CONDITION_FAILED" if self.starts_fail else "CONDITION_SUCCEEDED"
            revision.conditions = [run_v2.Condition(type_="Ready", state=ready)]
            revision.create_time = {"seconds": 1_700_000_000 + len(self.revisions)}
            self.revisions.append(revision)
        service.latest_ready_revision = self.revisions[-1].name
        service.uri, service.generation = "https://animals.example", (known.generation if known else 0) + 1
        service.traffic_statuses = [
            run_v2.TrafficTargetStatus(type_=share.type_, revision=share.revision, percent=share.percent)
            for share in service.traffic
        ]
        return _operation(self._keep(name, service))

    def _trigger(self, asked: Any) -> Any:
        asked.trigger.id = f"{len(self.things):08}"
        asked.trigger.resource_name = f"{asked.parent}/triggers/{asked.trigger.id}"
        return self._keep(f"trigger {asked.trigger.id}", asked.trigger, name=False)

    def _account(self, asked: Any) -> Any:
        project = asked.name.partition("/")[2]
        email = f"{asked.account_id}@{project}.iam.gserviceaccount.com"
        asked.service_account.email = email
        return self._keep(f"{asked.name}/serviceAccounts/{email}", asked.service_account)

    def _get_rights(self, asked: Any) -> Any:
        is_ours = asked.resource in self.things or asked.resource == "projects/zoo-project"
        if not is_ours and "/secrets/" not in asked.resource:
            raise Refused(grpc.StatusCode.NOT_FOUND, f"{asked.resource} does not exist")
        return self.rights.get(asked.resource, policy_pb2.Policy())

    def _set_rights(self, asked: Any) -> Any:
        self.rights[asked.resource] = asked.policy
        return asked.policy

    # ---------------------------------------------------------------------------------------------------------- HTTP

    def _storage(self) -> type[BaseHTTPRequestHandler]:
        stand_in = self

        class Storage(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer()

            def do_PUT(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                stand_in.bucket_rights |= json.loads(body)
                stand_in.calls.append("PUT bucket")
                self._answer()

            def _answer(self) -> None:
                data = json.dumps(stand_in.bucket_rights).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Storage


def _operation(thing: Any) -> Any:
    """A long-running operation that is done."""
    done = operations_pb2.Operation(name="operations/1", done=True)
    done.response.Pack(type(thing).pb(thing))
    return done
