"""Clients as they should be, and what they see of the server."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

import httpx


@dataclass
class Seen:
    """Seconds of each answer by kind of request, what failed, and how long the probe of ``/healthz`` waited at most."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def percentile(self, kind: str, share: float) -> float:
        """Seconds within which such a share was answered."""
        ordered = sorted(self.seconds[kind])
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    @property
    def kinds(self) -> list[str]:
        return sorted(self.seconds)


async def visit(address: str, photo: bytes, seconds: float, *, visitors: int = 2) -> Seen:
    """Ask for so long: ``visitors`` on kept connections, as many with a new one each time, and a probe of health."""
    seen = Seen()
    until = time.monotonic() + seconds

    async def ask(kind: str, client: httpx.AsyncClient, method: str, path: str, body: bytes | None = None) -> None:
        started = time.perf_counter()
        try:
            answer = await client.request(method, path, content=body, headers={"Content-Type": "image/jpeg"})
        except httpx.HTTPError as error:
            seen.failures.append(f"{kind}: {error!r}")
            return
        seen.seconds.setdefault(kind, []).append(time.perf_counter() - started)
        if answer.status_code != 200 or (body and answer.json()["predictions"][0]["error"]):
            seen.failures.append(f"{kind}: {answer.status_code} {answer.text[:200]}")

    async def kept() -> None:
        async with httpx.AsyncClient(base_url=address, timeout=60) as client:
            while time.monotonic() < until:
                await ask("predict, kept", client, "POST", "/v1/predict", photo)
                await asyncio.sleep(0.05)

    async def new() -> None:
        never = httpx.Limits(max_keepalive_connections=0)
        async with httpx.AsyncClient(base_url=address, timeout=60, limits=never) as client:
            while time.monotonic() < until:
                await ask("predict, new", client, "POST", "/v1/predict", photo)
                await asyncio.sleep(0.05)

    async def probe() -> None:
        async with httpx.AsyncClient(base_url=address, timeout=60) as client:
            while time.monotonic() < until:
                await ask("healthz", client, "GET", "/healthz")
                await asyncio.sleep(0.02)

    await asyncio.gather(*(kept() for _ in range(visitors)), *(new() for _ in range(visitors)), probe())
    return seen
