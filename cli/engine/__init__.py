"""Finds the Pulumi CLI, or builds it from the Go modules that `go.sum` pins.

`find` and `find_or_build` look, in this order, at `$FIRSTBELL_PULUMI`, at `pulumi` on PATH, and in
the per-user cache; `find_or_build` then builds. Nothing here knows Click or terminals.
"""

from cli.engine.find import VERSION, Engine, find, find_or_build

__all__ = ["VERSION", "Engine", "find", "find_or_build"]
