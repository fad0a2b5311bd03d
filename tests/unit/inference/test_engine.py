"""Both engines, on the same graph."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from animal_classification.errors import EngineError, UsageError
from animal_classification.inference.engine import PREFERRED, create_engine, infer_in_batches
from tests.support.tiny_bundle import write_tiny_bundle


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("bundle") / "tiny") / "model.onnx"


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)


def test_engines_agree(model: Path, images: np.ndarray) -> None:
    outputs = ("logits", "embedding", "features")
    first, second = (create_engine(model, outputs=outputs, name=name).infer(images) for name in PREFERRED)
    for name in outputs:
        assert first[name].dtype == np.float32
        np.testing.assert_allclose(first[name], second[name], atol=1e-4)


@pytest.mark.parametrize("name", PREFERRED)
def test_only_what_is_asked_for_is_given(model: Path, images: np.ndarray, name: str) -> None:
    assert set(create_engine(model, outputs=("logits",), name=name).infer(images)) == {"logits"}


@pytest.mark.parametrize("name", PREFERRED)
def test_answers_do_not_depend_on_the_batch(model: Path, images: np.ndarray, name: str) -> None:
    engine = create_engine(model, name=name)
    together = engine.infer(images)["logits"]
    alone = np.concatenate([engine.infer(images[i : i + 1])["logits"] for i in range(len(images))])
    np.testing.assert_allclose(together, alone, atol=1e-5)


@pytest.mark.parametrize("name", PREFERRED)
def test_an_earlier_answer_is_not_overwritten_by_a_later_call(model: Path, images: np.ndarray, name: str) -> None:
    engine = create_engine(model, name=name, threads=1)
    first = engine.infer(images)["logits"]
    kept = first.copy()
    engine.infer(255 - images)
    np.testing.assert_array_equal(first, kept)


@pytest.mark.parametrize("name", PREFERRED)
def test_many_threads_share_one_engine(model: Path, images: np.ndarray, name: str) -> None:
    engine = create_engine(model, name=name, threads=2)
    expected = engine.infer(images)["logits"]
    wrong: list[int] = []

    def run(start: int) -> None:
        for turn in range(20):
            index = (start + turn) % len(images)
            got = engine.infer(images[index : index + 1])["logits"]
            if not np.allclose(got, expected[index : index + 1], atol=1e-5):
                wrong.append(index)

    threads = [threading.Thread(target=run, args=(start,)) for start in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("name", PREFERRED)
def test_a_broken_graph_gives_one_clear_line(tmp_path: Path, name: str) -> None:
    broken = tmp_path / "model.onnx"
    broken.write_bytes(b"not a graph")
    with pytest.raises(EngineError, match=r"cannot run .*model\.onnx") as caught:
        create_engine(broken, name=name)
    assert "\n" not in str(caught.value)


def test_wrong_calls_say_what_is_allowed(model: Path) -> None:
    with pytest.raises(UsageError, match="choose one of auto, openvino, onnxruntime, onnxruntime-cuda"):
        create_engine(model, name="tensorrt")
    with pytest.raises(UsageError, match="at least 1"):
        create_engine(model, threads=0)


def test_starting_an_engine_sends_no_statistics(model: Path) -> None:
    program = f"""
import sys
from pathlib import Path
from animal_classification.inference.engine import create_engine
create_engine(Path({str(model)!r}), name="openvino")
assert "openvino" in sys.modules
print([name for name in sys.modules if "openvino_telemetry" in name])
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout.strip() == "[]"


def test_onnx_runtime_begins_no_session_of_its_statistics(model: Path, tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    program = f"""
from pathlib import Path
from animal_classification.inference.engine import create_engine
create_engine(Path({str(model)!r}), name="onnxruntime")
"""
    environment = {**os.environ, "TMPDIR": str(temporary)}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60, env=environment)
    assert list(temporary.iterdir()) == []


def test_the_wheel_for_cpus_has_no_engine_for_gpus(model: Path) -> None:
    with pytest.raises(EngineError, match="the one for CPUs is installed: pip uninstall onnxruntime, then pip install"):
        create_engine(model, name="onnxruntime-cuda")


def test_a_wheel_for_gpus_without_a_gpu_is_refused_rather_than_slow(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What the wheel for GPUs does where it finds none: it says so on stderr, and the session computes on the CPU.
    session = onnxruntime.InferenceSession
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(
        onnxruntime,
        "InferenceSession",
        lambda source, options, providers: session(source, options, providers=[providers[-1]]),
    )
    with pytest.raises(EngineError, match=r"found no GPU that it can use: see that nvidia-smi lists one and that CUDA"):
        create_engine(model, name="onnxruntime-cuda")


def test_a_gpu_gets_a_chunk_in_each_call_and_a_cpu_two_images() -> None:
    calls: list[int] = []

    class Counting:
        def __init__(self, name: str) -> None:
            self.name = name

        def infer(self, images: np.ndarray) -> dict[str, np.ndarray]:
            calls.append(len(images))
            return {"logits": np.zeros((len(images), 3), np.float32)}

    photos = np.zeros((30, 2, 2, 3), np.uint8)
    assert len(infer_in_batches(Counting("onnxruntime-cuda"), photos)["logits"]) == 30
    assert calls == [24, 6]
    calls.clear()
    assert len(infer_in_batches(Counting("onnxruntime"), photos)["logits"]) == 30
    assert calls == [2] * 15
