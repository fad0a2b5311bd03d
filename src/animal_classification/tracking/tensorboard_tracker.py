"""Event files for TensorBoard, in ``tensorboard/`` of the run's folder.

Written with tensorboardX's record writer, not with its ``SummaryWriter``: that one writes on a thread whose errors
nobody sees, and waits for ever when the disk is full.
"""

from __future__ import annotations

import io
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from animal_classification.tracking.run_state import Logged

if TYPE_CHECKING:
    from animal_classification.config.schema import Config
    from animal_classification.training.run import Run

FOLDER = "tensorboard"


class TensorboardTracker:
    """One event file. TensorBoard keeps numbers in single precision."""

    def __init__(self, folder: Path, logged: Logged) -> None:
        from tensorboardX.event_file_writer import EventsWriter

        self._logged = logged
        # The name begins with the second: another process could have the same.
        self._writer = EventsWriter(str(folder / "events"), filename_suffix=f".{uuid.uuid4().hex[:8]}")

    def log_config(self, config: Mapping[str, object]) -> None:
        from tensorboardX.summary import text

        if self._logged.new(["config"], 0):
            rows = "\n".join(f"| {key} | {value} |" for key, value in config.items())
            self._write(text("config", f"| key | value |\n|---|---|\n{rows}"), 0)
            self._logged.note(["config"], 0)

    def log_metrics(self, values: Mapping[str, float], *, step: int) -> None:
        from tensorboardX.proto.summary_pb2 import Summary

        if new := self._logged.new(values, step):
            self._write(
                Summary(value=[Summary.Value(tag=name, simple_value=float(values[name])) for name in new]), step
            )
            self._logged.note(new, step)

    def log_image(self, name: str, png: bytes, *, step: int) -> None:
        from PIL import Image
        from tensorboardX.proto.summary_pb2 import Summary

        if self._logged.new([name], step):
            with Image.open(io.BytesIO(png)) as picture:
                width, height = picture.size
            content = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=png)
            self._write(Summary(value=[Summary.Value(tag=name, image=content)]), step)
            self._logged.note([name], step)

    def log_bundle(self, bundle: Path) -> None:
        from tensorboardX.summary import text

        if self._logged.new(["bundle"], 0):
            self._write(text("bundle", str(bundle)), 0)  # it has no place for files
            self._logged.note(["bundle"], 0)

    def close(self, *, failed: bool) -> None:
        self._logged.close()
        self._writer.close()

    def _write(self, summary: Any, step: int) -> None:
        from tensorboardX.proto.event_pb2 import Event

        self._writer.write_event(Event(wall_time=time.time(), step=step, summary=summary))
        self._writer.flush()


def open_tensorboard(config: Config, run: Run) -> TensorboardTracker:
    """Write into the run's folder.

    Raises:
        OSError: The system refuses.
    """
    folder = run.path / FOLDER
    return TensorboardTracker(folder, Logged(folder / "logged.jsonl", resumed=run.resumed))
