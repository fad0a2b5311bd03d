"""The students' eight tests, and what the recipe does beyond them."""

from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from animal_classification.cli.main import main
from animal_classification.errors import AnimalsError, OutputError, UsageError
from animal_classification.imaging import PreprocessSpec, preprocess
from animal_classification.inference import Classifier
from animal_classification.training.neural import checkpoints, onnx_export, optimizers
from animal_classification.training.neural.augmentation import augment
from animal_classification.training.neural.cnn import choose_size, load_photos, train
from animal_classification.training.neural.fit import FitPlan, fit
from animal_classification.training.neural.network import AnimalClassificationCNN
from animal_classification.training.neural.seeded_random import keys
from animal_classification.training.package import finish
from animal_classification.training.recipe import RecipeInputs
from tests.e2e.serving import Server
from tests.torch.drawn import draw_photos, make_job, words


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_photos(tmp_path_factory.mktemp("drawn") / "photos")


@pytest.fixture(scope="module")
def job(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> RecipeInputs:
    return make_job(words(photos, tmp_path_factory.mktemp("runs"), "recipe.epochs=20", "recipe.lr=0.01"))


@pytest.fixture(scope="module")
def bundle(job: RecipeInputs) -> Path:
    finish(job, train(job))
    return job.run.bundle


def test_one_logit_for_each_class() -> None:
    assert AnimalClassificationCNN(5)(torch.zeros(2, 3, 128, 128)).shape == (2, 5)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_small_batches(count: int) -> None:
    network = AnimalClassificationCNN(3, size=28)
    assert network.train()(torch.zeros(count, 3, 28, 28)).shape == (count, 3)


def test_all_parameters_learn() -> None:
    network = AnimalClassificationCNN(3, size=28)
    network(torch.rand(4, 3, 28, 28) * 255).sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.requires_grad, name
        assert parameter.grad.abs().sum() > 0, name


def test_the_forward_pass_gives_numbers_whatever_the_pixels() -> None:
    network = AnimalClassificationCNN(3, size=32).eval()
    outputs = network.outputs(torch.stack([torch.zeros(3, 32, 32), torch.full((3, 32, 32), 255.0)]))
    assert outputs["embedding"].shape == (2, 512)
    assert all(torch.isfinite(value).all() for value in outputs.values())


def test_dropout_is_on_in_training_only() -> None:
    network, images = AnimalClassificationCNN(3, size=28), torch.rand(2, 3, 28, 28) * 255
    assert not torch.equal(network.train()(images), network(images))
    assert torch.equal(network.eval()(images), network(images))


def test_the_pixels_it_learns_from_are_those_it_is_served(job: RecipeInputs, bundle: Path) -> None:
    classifier = Classifier.load(bundle)
    spec = classifier.bundle.preprocess_spec
    pixels = load_photos(job, spec).train.take(np.array([0, 1]))
    assert np.array_equal(pixels, np.stack([preprocess(file, spec) for file in job.dataset.train.files[:2]]))


def test_training_makes_a_model_that_knows_photos_it_has_not_seen(job: RecipeInputs, bundle: Path) -> None:
    results = Classifier.load(bundle).predict_paths([(file.parent.name, file) for file in job.dataset.test.files])
    assert len(job.dataset.test) >= 9
    assert [result.prediction.label for result in results] == [file.parent.name for file in job.dataset.test.files]


def test_its_card_is_true(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "check", str(bundle / "README.md"), "-q"]) == 0, capsys.readouterr()


def test_the_page_starts_and_answers(bundle: Path, tmp_path: Path) -> None:
    server = Server("--model", str(bundle), folder=tmp_path)
    try:
        assert server.address
        assert server.get("/readyz")[0] == 200
        assert "Drop photos here" in server.get("/")[1]
    finally:
        server.kill()


def test_augmentation_depends_on_the_photo_and_the_epoch_only() -> None:
    images = torch.rand(6, 3, 20, 20) * 255
    drawn = keys(1, 2, np.arange(6))
    whole = augment(images, drawn, 1.0)
    assert torch.allclose(whole[4:], augment(images[4:], drawn[4:], 1.0), atol=1e-3)
    assert not torch.allclose(whole, augment(images, keys(1, 3, np.arange(6)), 1.0), atol=1)
    assert whole.min() >= 0
    assert whole.max() <= 255
    assert augment(images, drawn, 0.0) is images


def test_photos_that_do_not_fit_into_the_cache_are_decoded_again(
    photos: Path, tmp_path: Path, job: RecipeInputs, bundle: Path
) -> None:
    spec = Classifier.load(bundle).bundle.preprocess_spec
    without = make_job(words(photos, tmp_path, "trainer.cache_bytes=0"))
    chosen = np.array([3, 1])
    assert np.array_equal(load_photos(without, spec).train.take(chosen), load_photos(job, spec).train.take(chosen))
    assert not (tmp_path / "cache" / "pixels").exists()


def test_small_photos_are_not_blown_up(job: RecipeInputs) -> None:
    assert choose_size(job.dataset) == 24


def test_a_size_that_leaves_nothing_is_refused(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"recipe\.size=8 is halved 4 times"):
        train(make_job(words(photos, tmp_path, "recipe.size=8", "recipe.channels=[2,2,2,2]")))


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "fit.ckpt"
    checkpoints.save(path, {"epoch": 1})

    def full(self: Path, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match=r"No space left on device.*the last one is good"):
        checkpoints.save(path, {"epoch": 2})
    monkeypatch.undo()
    assert checkpoints.load(path) == {"epoch": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_a_checkpoint_runs_no_code(tmp_path: Path) -> None:
    path = tmp_path / "fit.ckpt"
    torch.save({"epoch": Path("anything that is not plain data")}, path)
    with pytest.raises(AnimalsError, match="is damaged; delete it"):
        checkpoints.load(path)


def test_a_graph_that_answers_otherwise_is_refused() -> None:
    network = AnimalClassificationCNN(3, size=16, channels=(4,), hidden=8).eval()
    images = onnx_export._images(16)
    model = onnx_export.export(network, 16)
    wrong = {name: value + 1 for name, value in onnx_export._outputs(network, images).items()}
    with pytest.raises(AnimalsError, match="the exported graph's logits differ by 1"):
        onnx_export._check(model, images, wrong)


def test_averaging_accumulating_and_every_optimiser_learn(photos: Path, tmp_path: Path) -> None:
    for name in ("adam", "sgd"):
        more = (f"optim={name}", "recipe.lr=0.01", "trainer.accumulate=2", "trainer.profile=true", "trainer.patience=0")
        job = make_job(words(photos, tmp_path, *more))
        data = load_photos(job, PreprocessSpec(size=16, crop_pct=1.0))
        torch.manual_seed(0)
        network = AnimalClassificationCNN(3, size=16, channels=(4, 8), hidden=16)
        plan = FitPlan(epochs=12, batch_size=8, average=True, label_smoothing=0.1)
        fitted = fit(job, network, optimizers.groups(network.parameters(), job.config.optim), data, plan)
        assert fitted.metrics["val/loss"] < fitted.history[0]["val/loss"]
        assert "| forward |" in (job.run.path / "profile" / "profile.md").read_text()
        assert (job.run.path / "profile" / "trace.json").stat().st_size > 1000
