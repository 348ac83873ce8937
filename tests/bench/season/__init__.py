"""The season benchmark: planner and peers on the same load, judged by an independent replay.

Shares no code with `infra.season`. Run it with `python -m tests.bench.season` (see `--help`).
"""
