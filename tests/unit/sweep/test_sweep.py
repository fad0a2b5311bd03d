"""A study ends with exactly as many finished trials as were asked for, whatever happens to those who work on it."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from animal_classification.config.compose import tree
from animal_classification.config.schema import CnnConfig, Config
from animal_classification.errors import AnimalsError, MissingExtraError, UsageError
from animal_classification.sweep import storage, study_report
from animal_classification.sweep.runner import Sweep, SweepOutcome, plan, run_sweep
from animal_classification.sweep.storage import StorageError, open_storage
from animal_classification.tracking.tracker import Tracker

pytestmark = pytest.mark.slow  # studies with databases and processes
WORDS = (
    "recipe=cnn",
    "sweep.space.recipe.lr={low: 0.001, high: 1, log: true}",
    "sweep.space.recipe.epochs={low: 3, high: 9}",
)


@dataclass(frozen=True)
class Done:
    """What the training below gives back."""

    bundle: Path
    metrics: Mapping[str, float]
    seconds: float = 0.1


@dataclass
class Training:
    """In the place of a training: the loss is the distance of the learning rate from 0.1, smaller with each epoch."""

    before: Callable[[int], object] = lambda _: None
    configs: list[Config] = field(default_factory=list)

    def __call__(self, config: Config, *, listeners: Sequence[Tracker] = ()) -> Done:
        self.configs.append(config)
        self.before(len(self.configs))
        assert isinstance(config.recipe, CnnConfig)
        loss = abs(config.recipe.lr - 0.1)
        (Path(config.output) / "run" / "checkpoints").mkdir(parents=True, exist_ok=True)
        for epoch in range(1, config.recipe.epochs + 1):
            loss += 1 / epoch / 100
            for listener in listeners:
                listener.log_metrics({"val/loss": loss, "lr": config.recipe.lr}, step=epoch)
        return Done(Path(config.output) / "bundle", {"test/accuracy": 1 - loss, "test/answered_right": 0.5 + loss / 9})


@pytest.fixture
def sweep(tmp_path: Path) -> Callable[..., Sweep]:
    def make(*words: str) -> Sweep:
        return plan(tree([*WORDS, f"output={tmp_path}", "sweep.pruner=none", *words], sweeping=True).config)

    return make


def states(outcome: SweepOutcome) -> list[TrialState]:
    return [trial.state for trial in outcome.trials]


def values(outcome: SweepOutcome) -> list[dict[str, Any]]:
    return [trial.params for trial in outcome.trials]


def test_as_many_as_asked_for_and_then_no_more(sweep: Callable[..., Sweep]) -> None:
    training = Training()
    said: list[str] = []
    outcome = run_sweep(sweep("sweep.trials=6"), training, tell=said.append)
    assert states(outcome) == [TrialState.COMPLETE] * 6
    assert len(said) == len(training.configs) == 6
    again = run_sweep(sweep("sweep.trials=6"), training)
    assert len(training.configs) == 6
    assert values(again) == values(outcome)
    assert len(states(run_sweep(sweep("sweep.trials=8"), training))) == 8


def test_other_photos_are_another_study_and_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def swept(version: str, *words: str) -> SweepOutcome:
        vary = tree([*WORDS, f"output={tmp_path}", "sweep.trials=2", "sweep.sampler=random", *words]).config
        return run_sweep(plan(vary, version_of=lambda _: version), training)

    training = Training()
    first = swept("photos1")
    assert first.notes == ()
    assert swept("photos1").sweep.name == first.sweep.name
    assert len(training.configs) == 2
    other = swept("photos2")
    assert len(training.configs) == 4
    assert other.notes == (
        f"study {first.sweep.name} is of other photos (data version photos1, now photos2): this is another study",
    )
    swept("photos1", "sweep.study=night")
    with pytest.raises(UsageError, match=r"'night' was made for other photos \(data version photos1, now photos2\)"):
        swept("photos2", "sweep.study=night")
    monkeypatch.setattr("animal_classification.sweep.runner.code_version", lambda: {"version": "9.9"})
    assert "other code" in swept("photos1").notes[0]


def test_trials_are_configurations_of_their_own(sweep: Callable[..., Sweep], tmp_path: Path) -> None:
    training = Training()
    outcome = run_sweep(sweep("sweep.trials=3", "tracking=wandb"), training)
    folders = [Path(config.output) for config in training.configs]
    assert folders == [tmp_path / outcome.sweep.name / "trials" / f"{number:04d}" for number in range(3)]
    assert [config.optim.lr for config in training.configs] == [trial["recipe.lr"] for trial in values(outcome)]
    assert {config.tracking.to for config in training.configs} == {("wandb", "csv")}
    assert not any(config.tracking.register_model for config in training.configs)


def test_the_same_seed_tries_the_same_even_with_a_break(tmp_path: Path) -> None:
    def tried(folder: str, *counts: int, seed: int = 0) -> list[dict[str, Any]]:
        for count in counts:
            words = [*WORDS, f"output={tmp_path / folder}", f"sweep.trials={count}", f"seed={seed}"]
            outcome = run_sweep(plan(tree([*words, "sweep.sampler=random"]).config), Training())
        return values(outcome)

    whole = tried("a", 6)
    assert whole == tried("b", 2, 6)
    assert whole != tried("c", 6, seed=1)
    assert len({trial["recipe.lr"] for trial in whole}) == 6


def test_bad_trials_are_pruned_and_count(sweep: Callable[..., Sweep]) -> None:
    outcome = run_sweep(sweep("sweep.trials=25", "sweep.pruner=median", "sweep.sampler=random"), Training())
    found = states(outcome)
    assert len(found) == 25
    assert found[:5] == [TrialState.COMPLETE] * 5
    assert found.count(TrialState.PRUNED) >= 3
    for trial in outcome.trials:
        checkpoints = outcome.sweep.folder / "trials" / f"{trial.number:04d}" / "run" / "checkpoints"
        assert checkpoints.exists() is (trial.state is TrialState.COMPLETE)
    best = study_report.best_first(outcome)[0]
    done = [trial.value or 0 for trial in outcome.trials if trial.state is TrialState.COMPLETE]
    assert best.value == min(done)


def test_a_loss_that_is_no_number_is_pruned(sweep: Callable[..., Sweep]) -> None:
    def diverging(config: Config, *, listeners: Sequence[Tracker]) -> Done:
        for listener in listeners:
            listener.log_metrics({"val/loss": float("nan")}, step=1)
        raise AssertionError("it should have been stopped")

    assert states(run_sweep(sweep("sweep.trials=2"), diverging)) == [TrialState.PRUNED] * 2


def test_whoever_dies_is_done_again_from_where_it_was(sweep: Callable[..., Sweep]) -> None:
    """An interrupt leaves the trial as a kill does: running, with nobody at it."""

    def interrupt(number: int) -> None:
        if number in (2, 4):
            raise KeyboardInterrupt

    training = Training(before=interrupt)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            run_sweep(sweep("sweep.trials=4"), training)
    outcome = run_sweep(sweep("sweep.trials=4"), training)
    assert states(outcome).count(TrialState.COMPLETE) == 4
    assert states(outcome).count(TrialState.FAIL) == 2
    # The same values in the same folder, so that the training finds its checkpoint.
    outputs = [config.output for config in training.configs]
    rates = [config.optim.lr for config in training.configs]
    assert (outputs[1], rates[1]) == (outputs[2], rates[2])
    assert (outputs[3], rates[3]) == (outputs[4], rates[4])
    assert len(set(outputs)) == 4


def test_a_machine_that_went_silent(sweep: Callable[..., Sweep], monkeypatch: pytest.MonkeyPatch) -> None:
    """Its lock cannot be seen from here; its heartbeat stopped. Nobody else takes over the trial before that."""
    monkeypatch.setattr(storage, "GRACE", 1)
    asked = sweep("sweep.trials=3")
    first = run_sweep(sweep("sweep.trials=1"), Training())
    with storage.without_optuna_warnings(), storage.open_storage(None, asked.folder) as database:
        trial = optuna.load_study(study_name=asked.name, storage=database).ask()
        trial.set_user_attr("worker", "elsewhere")
        rate = trial.suggest_float("recipe.lr", 0.001, 1, log=True)
        database.record_heartbeat(trial._trial_id)
    outcome = run_sweep(asked, Training())
    assert first.trials[0].params == outcome.trials[0].params
    assert states(outcome).count(TrialState.COMPLETE) == 3
    assert [trial.number for trial in outcome.trials if trial.params["recipe.lr"] == rate] == [1, 3]
    assert outcome.trials[1].state is TrialState.FAIL


def test_values_that_kill_every_time_are_given_up(sweep: Callable[..., Sweep]) -> None:
    rates: list[float] = []

    def deadly(config: Config, *, listeners: Sequence[Tracker]) -> Done:
        rates.append(config.optim.lr)
        if config.optim.lr == rates[0]:
            raise KeyboardInterrupt
        return Training()(config, listeners=listeners)

    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            run_sweep(sweep("sweep.trials=2"), deadly)
    outcome = run_sweep(sweep("sweep.trials=2"), deadly)
    assert states(outcome) == [TrialState.FAIL] * 3 + [TrialState.COMPLETE] * 2
    assert rates[0] == rates[1] == rates[2] not in rates[3:]


@pytest.mark.filterwarnings("ignore")  # threads change one another's filters
def test_workers_at_once_do_not_overshoot(sweep: Callable[..., Sweep]) -> None:
    """Three workers of one study, all held back at their first trial until the others have one."""
    together = threading.Barrier(3, timeout=30)

    def work(_: int) -> SweepOutcome:
        try:
            return run_sweep(sweep("sweep.trials=7"), Training(before=lambda number: number == 1 and together.wait()))
        except AnimalsError:
            together.abort()
            raise

    with ThreadPoolExecutor(3) as pool:
        outcomes = list(pool.map(work, range(3)))
    assert [states(outcome).count(TrialState.COMPLETE) for outcome in outcomes] == [7, 7, 7]


@pytest.mark.parametrize("kind", [AnimalsError, MemoryError])
def test_several_failures_in_a_row_end_it(sweep: Callable[..., Sweep], kind: type[Exception]) -> None:
    def failing(config: Config, *, listeners: Sequence[Tracker]) -> Done:
        raise kind("no memory")

    with pytest.raises(kind, match="no memory"):
        run_sweep(sweep("sweep.trials=9"), failing)
    outcome = run_sweep(sweep("sweep.trials=2"), Training())
    assert states(outcome) == [TrialState.FAIL] * 3 + [TrialState.COMPLETE] * 2


def test_a_call_that_is_wrong_ends_it_at_once(sweep: Callable[..., Sweep]) -> None:
    def refusing(config: Config, *, listeners: Sequence[Tracker]) -> Done:
        raise UsageError("no such folder")

    with pytest.raises(UsageError, match="no such folder"):
        run_sweep(sweep(), refusing)


def test_a_metric_that_nobody_reports(sweep: Callable[..., Sweep]) -> None:
    with pytest.raises(UsageError, match=r"reports no 'val/f1'; it reports test/accuracy, test/answered_right"):
        run_sweep(sweep("sweep.metric=val/f1"), Training())


def test_what_is_better_follows_the_metric(sweep: Callable[..., Sweep]) -> None:
    assert sweep().minimise
    assert not sweep("sweep.metric=test/accuracy").minimise
    outcome = run_sweep(sweep("sweep.metric=test/accuracy", "sweep.trials=4"), Training())
    best = [trial.value or 0 for trial in study_report.best_first(outcome)]
    assert best == sorted(best, reverse=True)


def test_what_people_are_told_may_be_the_objective(sweep: Callable[..., Sweep]) -> None:
    """Here the two disagree: what has the fewest right labels is told right most often."""
    outcome = run_sweep(sweep("sweep.metric=test/answered_right", "sweep.trials=4"), Training())
    best = study_report.best_first(outcome)
    assert [trial.value or 0 for trial in best] == sorted((trial.value or 0 for trial in best), reverse=True)
    assert best[0].user_attrs["metrics"]["test/accuracy"] == min(
        trial.user_attrs["metrics"]["test/accuracy"] for trial in best
    )


def test_a_grid_is_walked_once(sweep: Callable[..., Sweep]) -> None:
    words = ["sweep.sampler=grid", "sweep.space={recipe.lr: {values: [0.1, 0.2]}, recipe.epochs: {low: 3, high: 5}}"]
    words.append("sweep.trials=50")
    outcome = run_sweep(sweep(*words), Training())
    assert {(trial["recipe.lr"], trial["recipe.epochs"]) for trial in values(outcome)} == {
        (rate, epochs) for rate in (0.1, 0.2) for epochs in (3, 4, 5)
    }
    assert len(states(outcome)) == 6
    assert outcome.notes == ("the grid has 6 points, so there are 6 trials",)


def test_what_was_tried_before_is_not_trained_again(tmp_path: Path) -> None:
    training = Training()
    words = ["recipe=cnn", f"output={tmp_path}", "recipe.lr=0.1,0.2", "sweep.trials=8"]
    outcome = run_sweep(plan(tree(words, sweeping=True).config), training)
    assert states(outcome) == [TrialState.COMPLETE] * 8
    assert len(training.configs) == 2
    assert study_report.best_first(outcome)[0].params == {"recipe.lr": 0.1}
    assert study_report.as_object(outcome, None)["repeated"] == 6
    assert outcome.notes == (
        "6 of 8 trials had values of earlier ones and took their results; the space has only 2 points",
    )


def test_a_study_is_for_one_thing(sweep: Callable[..., Sweep]) -> None:
    run_sweep(sweep("sweep.study=mine", "sweep.trials=1"), Training())
    with pytest.raises(UsageError, match="'mine' was made for another configuration or space"):
        run_sweep(sweep("sweep.study=mine", "sweep.trials=1", "recipe.dropout=0.1"), Training())
    with pytest.raises(UsageError, match="no slash"):
        sweep("sweep.study=a/b")


def test_time_ends_it(sweep: Callable[..., Sweep]) -> None:
    outcome = run_sweep(sweep("sweep.seconds=0.001"), Training())
    assert len(states(outcome)) <= 1


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["sweep.space={recipe.lrr: {low: 1, high: 2}}"], "no such setting 'recipe.lrr'; did you mean 'recipe.lr'?"),
        (["sweep.space={recipe.lr: {low: 0.0, high: 2}}"], "sweep.space: recipe.lr is 0.0; it must be above 0"),
        (["sweep.space={recipe.folds: {low: 2, high: 3}}"], "recipe=cnn has no 'recipe.folds'; recipe=probe has it"),
        (["sweep.space={recipe: {values: [cnn]}}"], "sweep.space: recipe cannot be tried"),
        (["sweep.space={output: {values: [a, b]}}"], "sweep.space: output cannot be tried"),
        (["sweep.sampler=grid"], "sweep.sampler=grid needs a step or values for recipe.lr"),
    ],
)
def test_spaces_that_cannot_be(sweep: Callable[..., Sweep], words: list[str], line: str) -> None:
    with pytest.raises(UsageError) as caught:
        run_sweep(sweep(*words), Training())
    assert line in str(caught.value)


@pytest.mark.parametrize("recipe", ["probe", "finetune", "cnn"])
def test_every_recipe_has_something_to_try(recipe: str) -> None:
    assert plan(tree([f"recipe={recipe}"]).config).space


def test_hydras_words_for_several_values() -> None:
    words = ["recipe.batch_size=16,32", "recipe.lr=tag(log, interval(0.001, 0.1))", "recipe.epochs=range(1,4)"]
    space = plan(tree(["recipe=cnn", *words, "optim.name=choice(adam,sgd)"], sweeping=True).config).space
    assert {key: tried.model_dump(exclude_defaults=True) for key, tried in space.items()} == {
        "recipe.batch_size": {"values": (16, 32)},
        "recipe.lr": {"low": 0.001, "high": 0.1, "log": True},
        "recipe.epochs": {"values": (1, 2, 3)},
        "optim.name": {"values": ("adam", "sgd")},
    }
    with pytest.raises(UsageError, match="cannot be tried; name the values"):
        tree(["recipe.folds=glob(*)"], sweeping=True)
    with pytest.raises(UsageError, match="more than 10000 values"):
        tree(["recipe.folds=range(1,1000000000)"], sweeping=True)


def test_the_report(sweep: Callable[..., Sweep]) -> None:
    outcome = run_sweep(sweep("sweep.trials=12"), Training())
    page = study_report.write(outcome)
    assert page is not None
    text = page.read_text(encoding="utf-8")
    for heading in ("Importance", "Parallel coordinates", "History"):
        assert f"<h2>{heading}</h2>" in text
    assert text.count("Plotly.newPlot(") >= 3
    assert "<script src=" not in text
    assert '<script charset="utf-8" src=' not in text
    rows = (outcome.sweep.folder / "trials.csv").read_text(encoding="utf-8").splitlines()
    assert rows[0] == "trial,state,val/loss,recipe.lr,recipe.epochs,seconds,bundle"
    assert len(rows) == 13
    found = study_report.as_object(outcome, page)
    assert json.loads(json.dumps(found)) == found
    assert (found["asked"], found["finished"], found["complete"]) == (12, 12, 12)
    assert found["bundle"] == found["best"][0]["bundle"]
    assert found["value"] == min(trial.value or 0 for trial in outcome.trials)
    assert len(study_report.table(outcome)) == 11


def test_the_report_of_one_trial(sweep: Callable[..., Sweep]) -> None:
    page = study_report.write(run_sweep(sweep("sweep.trials=1"), Training()))
    assert page is not None
    assert "<table>" in page.read_text(encoding="utf-8")


WITH_PASSWORD = "postgresql://me:secret@127.0.0.1:1/animals"  # pragma: allowlist secret


@pytest.mark.parametrize(
    ("url", "error", "line"),
    [
        ("nonsense", UsageError, "sweep.storage 'nonsense' is no database URL"),
        ("mysterydb://x/y", UsageError, "is no database URL: Can't load plugin"),
        (WITH_PASSWORD, StorageError, "me:***@127.0.0.1:1/animals' cannot be used: "),
        ("sqlite:////there/is/no/such/folder/x.db", StorageError, "unable to open database file"),
    ],
)
def test_storage_that_is_not_there(tmp_path: Path, url: str, error: type[AnimalsError], line: str) -> None:
    with pytest.raises(error) as caught, open_storage(url, tmp_path):
        pass
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_without_optuna(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtraError, match=r"animals sweep needs an extra: .*\[sweep\]"):
        plan(tree().config)


def test_nothing_of_optuna_is_loaded_for_a_training() -> None:
    code = "import sys, animal_classification.sweep.runner; print('optuna' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_optuna_says_nothing_by_itself(sweep: Callable[..., Sweep], capfd: pytest.CaptureFixture[str]) -> None:
    run_sweep(sweep("sweep.trials=2"), Training())
    assert capfd.readouterr() == ("", "")
    assert optuna.logging.get_verbosity() == optuna.logging.WARNING
