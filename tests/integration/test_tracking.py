"""The same training under every tracker, and trackers that fail."""

from __future__ import annotations

import io
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from PIL import Image

from animal_classification.config.compose import compose
from animal_classification.config.schema import Config
from animal_classification.errors import MissingExtraError
from animal_classification.registry.mlflow_client import connect
from animal_classification.tracking.csv_tracker import read_metrics
from animal_classification.tracking.factory import tracked, without_auto
from animal_classification.tracking.metric_names import plain_name
from animal_classification.tracking.model_registration import offer
from animal_classification.tracking.run_state import recall
from animal_classification.training.run import Run, open_run
from animal_classification.training.train import train
from tests.support.tiny_bundle import write_tiny_bundle
from tests.support.tracked import Numbers, from_mlflow, from_tensorboard, from_wandb, tensorboard_images, wandb_records

ALL = "tracking.to=[mlflow,wandb,tensorboard,csv]"
# Numbers that no format may round (except TensorBoard's, to single precision), and a class that MLflow would refuse.
SERIES: Numbers = {
    "train/loss": {1: 1.0986122886681098, 2: 0.6931471805599453, 3: 1e-9},
    "val/loss": {1: 1.25, 2: 2 / 3, 3: 0.1},
    "val/accuracy": {1: 1 / 3, 2: 0.7, 3: 0.9},
    "lr": {1: 0.001, 2: 0.00055, 3: 3.3e-7},
    "images_per_second": {1: 123.456, 2: 120.0, 3: 1e5},
    "test/accuracy": {3: 0.9583333333333334},
    "test/recall/polar bear": {3: 1.0},
    "test/recall/ours (brun)": {3: 0.0},
    "test/recall/狐狸": {3: 0.5},
}


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nobody's account, and nobody's home."""
    for name in [name for name in os.environ if name.startswith(("WANDB_", "MLFLOW_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("WANDB_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "config"))


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("bundle") / "tiny")


def picture(colour: str) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (24, 16), colour).save(stream, "PNG")
    return stream.getvalue()


def configured(output: Path, *words: str) -> Config:
    return without_auto(compose([f"output={output}", *words]))


def started(config: Config) -> Run:
    return open_run(config, name="zoo", data_version="d1")


def tell(config: Config, run: Run, bundle: Path, *, steps: range = range(1, 4)) -> list[str]:
    """A training as trackers see it; the end comes with the third step. Returns the warnings."""
    warnings: list[str] = []
    with tracked(config, run, warn=warnings.append) as tracker:
        for step in steps:
            for part in ("train/", "val/", "lr", "images", "test/"):
                values = {
                    name: points[step] for name, points in SERIES.items() if step in points and name.startswith(part)
                }
                if values:
                    tracker.log_metrics(values, step=step)
        if 3 in steps:
            tracker.log_image("val/examples", picture("red"), step=3)
            tracker.log_image("test/confusion", picture("blue"), step=3)
            tracker.log_bundle(bundle)
    return warnings


def uri_of(output: Path) -> str:
    return f"sqlite:///{output}/mlflow.db"


def run_id_of(run: Run) -> str:
    return recall(run.path)["mlflow"]["run_id"]


def check_same_numbers(run: Run, output: Path, expected: Numbers) -> None:
    """Read them back from all four, with the libraries of each."""
    assert read_metrics(run.path / "metrics.csv") == expected
    assert from_mlflow(uri_of(output), run_id_of(run)) == {plain_name(name): of for name, of in expected.items()}
    assert from_wandb(run.path / "wandb") == expected
    rounded = from_tensorboard(run.path / "tensorboard")
    assert rounded.keys() == expected.keys()
    for name, points in expected.items():
        assert rounded[name] == pytest.approx(points, rel=1e-6)


def test_all_trackers_carry_the_same(tmp_path: Path, bundle: Path) -> None:
    config = configured(tmp_path, ALL)
    run = started(config)
    assert tell(config, run, bundle) == []
    check_same_numbers(run, tmp_path, SERIES)
    check_pictures_and_bundle(run, tmp_path, bundle)


def check_pictures_and_bundle(run: Run, output: Path, bundle: Path) -> None:
    expected = {"val/examples": picture("red"), "test/confusion": picture("blue")}
    assert tensorboard_images(run.path / "tensorboard") == expected
    client, run_id = connect(uri_of(output)), run_id_of(run)
    for name, png in expected.items():
        assert (run.path / "pictures" / f"{name}-3.png").read_bytes() == png
        there = Path(client.download_artifacts(run_id, f"pictures/{name}-3.png", str(output)))
        assert there.read_bytes() == png
        sent = list(run.path.glob(f"wandb/offline-run-*/files/media/images/{name}_*.png"))
        assert len(sent) == 1
        assert Image.open(sent[0]).getpixel((0, 0)) == Image.open(io.BytesIO(png)).getpixel((0, 0))
    kept = Path(client.download_artifacts(run_id, "bundle", str(output)))
    assert {path.name: path.read_bytes() for path in kept.iterdir()} == {
        path.name: path.read_bytes() for path in bundle.iterdir()
    }
    artifacts = [record.artifact for record in wandb_records(run.path / "wandb") if record.HasField("artifact")]
    assert [artifact.type for artifact in artifacts] == ["model"]
    assert {entry.path for entry in artifacts[0].manifest.contents} == {path.name for path in bundle.iterdir()}
    finished = client.get_run(run_id)
    assert finished.info.status == "FINISHED"
    assert finished.data.params["recipe.name"] == "probe"


def test_a_run_that_goes_on_is_the_same_run_everywhere(tmp_path: Path, bundle: Path) -> None:
    config = configured(tmp_path, ALL)
    assert tell(config, started(config), bundle, steps=range(1, 3)) == []
    resumed = started(config)
    assert resumed.resumed
    first = run_id_of(resumed)
    assert tell(config, resumed, bundle, steps=range(2, 4)) == []  # step 2 comes again
    assert run_id_of(resumed) == first
    check_same_numbers(resumed, tmp_path, SERIES)
    assert len({record.run.run_id for record in wandb_records(resumed.path / "wandb") if record.run.run_id}) == 1


def test_a_real_training_carries_the_same_everywhere(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    for label, colour in (("red", (200, 20, 20)), ("blue", (20, 20, 200))):
        (photos / label).mkdir(parents=True)
        for number in range(12):
            shade = tuple(min(255, channel + 4 * number) for channel in colour)
            Image.new("RGB", (64 + number, 64), shade).save(photos / label / f"{number}.png")
    runs = tmp_path / "runs"
    done = animals("train", f"data.path={photos}", f"output={runs}", f"data.cache={tmp_path / 'cache'}", ALL, "--json")
    assert done.returncode == 0, done.stderr
    assert "tracking with" not in done.stderr, "no tracker was given up"
    result = json.loads(done.stdout)
    run = Run(Path(result["run"]), resumed=False)
    numbers = read_metrics(run.path / "metrics.csv")
    assert {name: next(iter(points.values())) for name, points in numbers.items() if name in result["metrics"]} == {
        name: value for name, value in result["metrics"].items() if name in numbers
    }
    assert numbers.keys() >= {"test/accuracy", "test/recall/red", "test/recall/blue", "train/loss", "val/loss"}
    check_same_numbers(run, runs, numbers)
    assert "registered as photos/1, candidate" in done.stderr
    listed = animals("models", "list", "--json", "--uri", uri_of(runs))
    [model] = json.loads(listed.stdout)["models"]
    assert model["versions"][0]["run_id"] == run_id_of(run)
    assert model["versions"][0]["accuracy"] == result["accuracy"]
    predicted = animals(
        "predict",
        str(photos / "red"),
        "--model",
        "models:/photos@candidate",
        "--json",
        ANIMALS_TRACKING_URI=uri_of(runs),
    )
    assert predicted.returncode == 0, predicted.stderr


def animals(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "animal_classification.cli", *words],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )


class Server(ThreadingHTTPServer):
    """An MLflow server as far as a run needs one, which can go away. Counts the batches that it got."""

    daemon_threads = True
    batches = 0


class _Answers(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self._answer({"experiment": {"experiment_id": "1", "name": "animals", "lifecycle_stage": "active"}})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.path.endswith("log-batch"):
            self.server.batches += 1
        self._answer({"run": {"info": {"run_id": "abc", "experiment_id": "1"}}})

    def _answer(self, value: dict[str, object]) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: object) -> None: ...


def test_a_server_that_goes_away_ends_the_tracking_and_not_the_run(tmp_path: Path, bundle: Path) -> None:
    with Server(("127.0.0.1", 0), _Answers) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        config = configured(tmp_path, f"tracking.uri=http://127.0.0.1:{server.server_port}")
        run, warnings = started(config), []
        with tracked(config, run, warn=warnings.append) as tracker:
            tracker.log_metrics({"train/loss": 1.0}, step=1)
            wait_for(lambda: server.batches > 1)  # the configuration, and the numbers
            server.shutdown()
            server.server_close()
            thread.join()
            for step in range(2, 5):
                tracker.log_metrics({"train/loss": 1 / step}, step=step)
            tracker.log_bundle(bundle)
    [line] = warnings
    assert line == f"tracking with mlflow at {config.tracking.uri} stopped: Connection refused; the run itself goes on"
    assert read_metrics(run.path / "metrics.csv") == {"train/loss": {step: 1 / step for step in range(1, 5)}}


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)


def test_a_server_that_never_answers_costs_no_more_than_its_patience(
    tmp_path: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    with socket.create_server(("127.0.0.1", 0), backlog=50) as server:
        uri = f"http://127.0.0.1:{server.getsockname()[1]}"
        config = configured(tmp_path, f"tracking.uri={uri}")
        run = started(config)
        warnings = tell(config, run, bundle)
    assert warnings == [f"tracking with mlflow at {uri} stopped: timed out; the run itself goes on"]
    assert read_metrics(run.path / "metrics.csv") == SERIES
    # The tracker has said it: the registry at the same place is not asked again.
    assert offer(config, run, name="zoo", metrics={}, test=()) == ()


def test_a_registry_that_cannot_be_reached_is_a_note(tmp_path: Path, bundle: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        uri = f"http://127.0.0.1:{server.getsockname()[1]}"
    config = configured(tmp_path, "tracking.to=[]", f"tracking.uri={uri}")
    run = started(config)
    shutil.copytree(bundle, run.bundle)
    [note] = offer(config, run, name="zoo", metrics={}, test=())
    assert note == f"not registered: {uri}: Connection refused; the model itself is in {run.bundle}"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
def test_a_full_disk_is_one_line(tmp_path: Path, bundle: Path) -> None:
    config = configured(tmp_path, "tracking.to=[csv,mlflow]")
    run = started(config)
    (run.path / "metrics.csv").symlink_to("/dev/full")
    assert tell(config, run, bundle) == ["tracking with csv stopped: No space left on device; the run itself goes on"]
    assert from_mlflow(uri_of(tmp_path), run_id_of(run)).keys() == {plain_name(name) for name in SERIES}


def test_what_cannot_be_written_is_one_line_each(tmp_path: Path, bundle: Path) -> None:
    config = configured(tmp_path, "tracking.to=[mlflow,tensorboard]")
    run = started(config)
    (tmp_path / "mlflow.db").mkdir()
    (run.path / "tensorboard").write_text("in the way")
    where = f"sqlite:///{tmp_path}/mlflow.db"
    assert sorted(tell(config, run, bundle)) == [
        f"tracking with mlflow at {where} stopped: unable to open database file; the run itself goes on",
        f"tracking with tensorboard stopped: File exists: {run.path}/tensorboard; the run itself goes on",
    ]


def test_a_missing_library_is_refused_before_anything_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("animal_classification.tracking.factory.find_spec", lambda name: None)
    config = configured(tmp_path, f"data.path={tmp_path / 'nothing'}", ALL)
    with pytest.raises(MissingExtraError, match=r"tracking with wandb needs an extra: pip install .*\[wandb\]"):
        train(config)
    assert not list(tmp_path.iterdir())
