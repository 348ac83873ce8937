"""The states by their order, and the exit codes of an order. Nothing is imported for them."""

from __future__ import annotations

from typing import Final

# The exit codes of an order.
DONE, ERROR, BLOCKED, MISMATCH, LATE, HUMAN = range(6)

START: Final = ("preflight", "prepare", "schema", "copy", "soak")
CUTOVER: Final = (
    "gate",
    "fence",
    "drain",
    "finalize",
    "verify",
    "flip",
    "switch",
    "smoke",
    "hold",
)
REVERT: Final = (
    "back_fence",
    "back_drain",
    "back_finalize",
    "back_verify",
    "back_flip",
    "back_switch",
)
# In these the way back is `abort`; from switch's intent on it is `revert`.
ABORTABLE: Final = ("fence", "drain", "finalize", "verify", "flip")
REVERTIBLE: Final = ("switch", "smoke", "hold")
FINAL: Final = ("committed", "discarded")
# Steps with a latest finish; `hold` has none, because only a person ends it.
TIMED: Final = ("fence", "drain", "finalize", "verify", "flip", "switch", "smoke")
