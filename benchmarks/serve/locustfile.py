"""For Locust: people who send photos to a running server, now and then ask what it is, and go on.

    ANIMALS_PHOTOS=FOLDER locust -f benchmarks/serve/locustfile.py --host http://localhost:8080

With ``ANIMALS_KEY`` they send an API key. Without a folder a photo is drawn. 503 with ``Retry-After`` is what the
server promises under too much load, so it is no failure; it has a line of its own in the statistics.
"""

from __future__ import annotations

import io
import os
import random
from pathlib import Path

from locust import HttpUser, between, task
from PIL import Image

ENDINGS = {".jpg", ".jpeg", ".png", ".webp"}


def photos() -> list[tuple[str, bytes]]:
    """Names and bytes of what is sent."""
    folder = os.environ.get("ANIMALS_PHOTOS")
    if folder:
        found = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in ENDINGS)[:200]
        if found:
            return [(path.name, path.read_bytes()) for path in found]
        raise SystemExit(f"no photos in {folder}")
    stream = io.BytesIO()
    Image.radial_gradient("L").convert("RGB").save(stream, "JPEG")
    return [("drawn.jpg", stream.getvalue())]


class Visitor(HttpUser):
    """Somebody with photos."""

    wait_time = between(0.05, 0.5)
    known = photos()

    def on_start(self) -> None:
        if key := os.environ.get("ANIMALS_KEY"):
            self.client.headers["X-API-Key"] = key

    @task(20)
    def one_photo(self) -> None:
        self._send(1)

    @task(2)
    def several_photos(self) -> None:
        self._send(4)

    @task(1)
    def models(self) -> None:
        self.client.get("/v1/models")

    def _send(self, count: int) -> None:
        chosen = random.choices(self.known, k=count)
        files = [("files", (name, data, "image/jpeg")) for name, data in chosen]
        name = f"/v1/predict ({count})"
        with self.client.post("/v1/predict", files=files, name=name, catch_response=True) as answer:
            if answer.status_code == 503 and "Retry-After" in answer.headers:
                answer.request_meta["name"] = f"{name}: busy"
                answer.success()
            elif answer.status_code != 200:
                answer.failure(f"{answer.status_code}: {answer.text[:200]}")
            elif len(answer.json()["predictions"]) != count:
                answer.failure("an answer is missing")
