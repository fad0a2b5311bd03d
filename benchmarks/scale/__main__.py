"""The simulated table for a processor time of a photo: ``python -m benchmarks.scale 14``, in milliseconds."""

from __future__ import annotations

import sys
from dataclasses import asdict

from benchmarks.scale.report import projection_lines
from benchmarks.scale.sim import Assumptions, rows

given = Assumptions(cpu_ms=float(sys.argv[1]) if len(sys.argv) > 1 else 14.0, start_seconds=1.0, shard_seconds=0.5)
print("\n".join(projection_lines({"assumptions": asdict(given), "rows": rows(given)})))
