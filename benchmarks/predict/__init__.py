"""How fast `animals predict` is, beside a PyTorch loop and beside what the cores allow; see docs/benchmarks.md.

`animals bench predict` calls `run.run`. Every contestant is a fresh process; nothing here imports an engine or torch,
except what such a process runs: `ours`, `floor`, `torch_loop` and `torch_search`. The last two know nothing of our
package.
"""
