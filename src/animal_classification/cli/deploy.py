"""``animals deploy``: documents for Google Cloud and Kubernetes, and what they would change."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from animal_classification.cloud.apply import Step, kubectl, plan, roll_back
from animal_classification.cloud.apply import apply as apply_steps
from animal_classification.cloud.batch import PLATFORMS
from animal_classification.cloud.deploy_settings import DeploySettings, load_settings
from animal_classification.cloud.documents import Document, changes, difference, write
from animal_classification.cloud.render import render as render_documents
from animal_classification.cloud.resources import Resources
from animal_classification.common.console import printable, say
from animal_classification.errors import AnimalsError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from animal_classification.cloud.batch_settings import Platform


APPLIED = ("cloudrun", "vertex", "k8s", "batch")
TARGETS = (*APPLIED, "github")
_DIFFERENT = 1  # what `kubectl diff` ends with where something would change


@click.group(name="deploy")
def command() -> None:
    """Put the API and trainings onto Google Cloud or Kubernetes.

    \b
    cloudrun   the API on Cloud Run, with its accounts, rights, image repository, builds and alerts
    vertex     a training, or a study of many, on Vertex AI
    k8s        the API on a cluster, and the loop on a schedule
    batch      a batch (animals batch plan), where --on says
    github     the loop as a workflow; a file for .github/workflows, so it is rendered and never applied

    Everything comes from one settings file; deploy/example.yaml is an example.
    """  # noqa: D301 - \b is click's mark for lines that stay apart


def _target(function: Callable[..., None]) -> Callable[..., None]:
    path = click.Path(dir_okay=False, path_type=Path)
    option = click.option(
        "--settings", metavar="FILE", type=path, default="deploy.yaml", show_default=True, help="The settings file."
    )
    on = click.option("--on", type=click.Choice(PLATFORMS), help="batch: where it runs.  [default: cloudrun-jobs]")
    return click.argument("target", type=click.Choice(TARGETS))(option(on(function)))


@command.command()
@_target
@click.option(
    "-o", "--output", metavar="DIR", type=click.Path(file_okay=False, path_type=Path), help="Write the documents there."
)
@click.option("--check", is_flag=True, help="Write nothing; exit code 1 where DIR differs from the settings.")
def render(target: str, settings: Path, output: Path | None, check: bool, on: Platform | None) -> None:
    """Print TARGET's documents, or write them and print what changes."""
    documents, _ = _render(target, settings, on)
    if output is None:
        if check:
            raise UsageError("--check compares with a folder: name it with --output")
        click.echo("---\n".join(printable_text(document.text()) for document in documents), nl=False)
        return
    found = changes(documents, output)
    for text in found:
        click.echo(printable_text(text))
    if check:
        if found:
            raise AnimalsError(f"{len(found)} documents in {str(output)!r} are not what {str(settings)!r} says")
        return
    write(documents, output)
    say(f"animals: {len(documents)} documents in {printable(str(output))}, {len(found)} changed")


@command.command()
@_target
@click.option("--yes", is_flag=True, help="Do it without asking.")
@click.option("--dry-run", is_flag=True, help="Print the difference, and change nothing.")
@click.option("--rollback", is_flag=True, help="cloudrun: all requests to the revision before this one.")
@click.option("--revision", metavar="NAME", help="cloudrun, with --rollback: to this revision.")
def apply(
    *,
    target: str,
    settings: Path,
    yes: bool,
    dry_run: bool,
    rollback: bool,
    revision: str | None,
    on: Platform | None,
) -> None:
    """Show how TARGET differs from what is there, ask, and change it."""
    if target not in APPLIED:
        raise UsageError(f"{target} is not applied: animals deploy render {target} -o .github/workflows, and commit it")
    documents, deployment = _render(target, settings, on)
    if rollback and dry_run:
        raise UsageError("--dry-run does not go with --rollback, which moves requests at once")
    if revision and not rollback:
        raise UsageError("--revision goes with --rollback")
    if rollback:
        _roll_back(target, deployment, revision)
        return
    if target == "k8s" or on in ("k8s", "kuberay"):
        _apply_manifests(documents, yes=yes, dry_run=dry_run)
        return
    resources = Resources(deployment.project, deployment.region)
    steps = plan(documents, resources)
    _show([step.diff for step in steps])
    if steps and not dry_run and _agreed(len(steps), yes=yes):
        apply_steps(steps, resources, _tell)


def _render(target: str, path: Path, on: Platform | None) -> tuple[Sequence[Document], DeploySettings]:
    if on is not None and target != "batch":
        raise UsageError(f"--on says where a batch runs; {target} runs where its name says")
    settings = load_settings(path)
    return render_documents(target, settings, on=on), settings


def _roll_back(target: str, settings: DeploySettings, revision: str | None) -> None:
    if target != "cloudrun":
        raise UsageError("only cloudrun keeps revisions; for k8s: kubectl rollout undo")
    name = f"{settings.parent}/services/{settings.name}"
    chosen = roll_back(name, Resources(settings.project, settings.region), revision)
    say(f"animals: all requests go to {chosen}; the next apply sends them where the settings say")


def _apply_manifests(documents: Sequence[Document], *, yes: bool, dry_run: bool) -> None:
    compared = kubectl(documents, "diff")
    if _is_first(compared.stderr):
        diffs = [difference("", document.text(), document.name) for document in documents]
    elif compared.returncode > _DIFFERENT:
        raise AnimalsError(f"kubectl diff: {' '.join(compared.stderr.split())}")
    else:
        diffs = [compared.stdout] if compared.returncode else []
    _show(diffs)
    if diffs and not dry_run and _agreed(len(documents), yes=yes):
        done = kubectl(documents, "apply")
        if done.returncode:
            raise AnimalsError(f"kubectl apply: {' '.join(done.stderr.split())}")
        click.echo(printable_text(done.stdout), nl=False)


def _is_first(errors: str) -> bool:
    """Kubectl compares nothing within a namespace that is yet to be made."""
    return 'namespaces "' in errors and "not found" in errors


def _show(diffs: Sequence[str]) -> None:
    for diff in diffs:
        click.echo(printable_text(diff))
    if not diffs:
        say("animals: everything is as the settings say")


def _agreed(count: int, *, yes: bool) -> bool:
    return yes or click.confirm(f"Change these {count} documents?", err=True)


def _tell(step: Step) -> None:
    say(f"animals: {'changed' if step.there is not None else 'made'} {step.document.name}")


def printable_text(text: str) -> str:
    """Lines that can do nothing to a terminal."""
    return "\n".join(printable(line) for line in text.split("\n"))
