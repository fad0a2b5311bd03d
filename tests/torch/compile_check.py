"""``trainer.compile``: the network really goes through torch.compile, and what comes out is the same model.

Most of a minute of compiling, so it is no part of the suite: ``make compile-check``. Without dropout, whose chances are
drawn otherwise in compiled code.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from onnx import load, numpy_helper

torch = pytest.importorskip("torch")

from animal_classification.training.neural.cnn import train
from animal_classification.training.package import finish
from tests.torch.drawn import draw_photos, make_job, words

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="torch.compile needs a C++ compiler")


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_a_compiled_training_gives_the_same_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "inductor"))
    photos = draw_photos(tmp_path / "photos", each=8)
    found = []
    for compiled in (False, True):
        torch._dynamo.reset()
        options = (
            "recipe.epochs=1",
            "recipe.batch_size=6",
            "recipe.dropout=0",
            f"trainer.compile={str(compiled).lower()}",
        )
        job = make_job(words(photos, tmp_path / str(compiled), *options))
        finish(job, train(job))
        model = load(job.run.bundle / "model.onnx")
        found.append({one.name: numpy_helper.to_array(one) for one in model.graph.initializer})
        frames = torch._dynamo.utils.counters["stats"]["unique_graphs"]
        assert (frames > 0) == compiled
    for name, value in found[0].items():
        np.testing.assert_allclose(found[1][name], value, rtol=1e-3, atol=1e-3)
