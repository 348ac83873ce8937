"""One Pulumi program with every resource type of the provider's table, a chapter a service.

A chapter is a module with:

- `program(variant, shared)`: creates one or more of every type of its service;
- `DRIFTS`: what is done behind our back, by resource name; and optionally
- `REMOVED`: resources that are gone after their drift;
- `PASSIVE`: resources without a drift of their own, since another is like them;
- `COLOURLESS`: resources that the update of the colour does not change;
- `left_over(client)`: what of this service is still in the cloud, after `destroy` nothing.
"""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType
from typing import Any, Final

from tests.cli.localcloud.provider.chapters.base import Client, Drift, Shared, Variant

# Those that others need come first, in this order; the rest by name.
_FIRST: Final = ("ec2", "iam", "elb", "autoscaling", "sns", "rds")
_OTHERS: Final = sorted(
    module.name for module in pkgutil.iter_modules(__path__) if module.name != "base"
)
CHAPTERS: Final[tuple[ModuleType, ...]] = tuple(
    importlib.import_module(f"{__name__}.{name}")
    for name in (*_FIRST, *(name for name in _OTHERS if name not in _FIRST))
)

DRIFTS: Final[dict[str, Drift]] = {
    name: drift for chapter in CHAPTERS for name, drift in chapter.DRIFTS.items()
}
if len(DRIFTS) != sum(len(chapter.DRIFTS) for chapter in CHAPTERS):
    raise AssertionError("two chapters call a resource the same: their results would be mixed up")


def _named(kind: str) -> frozenset[str]:
    return frozenset().union(*(getattr(chapter, kind, ()) for chapter in CHAPTERS))


REMOVED: Final = _named("REMOVED")
PASSIVE: Final = _named("PASSIVE")
COLOURLESS: Final = _named("COLOURLESS")


def everything(variant: Variant) -> None:
    """Create one or more of every type."""
    shared = Shared()
    for chapter in CHAPTERS:
        chapter.program(variant, shared)


def left_over(client: Client) -> list[str]:
    """What of ours is still in the cloud."""
    ended = {"deleted", "deleting", "terminated"}
    things: list[Any] = [
        thing
        for chapter in CHAPTERS
        if hasattr(chapter, "left_over")
        for thing in chapter.left_over(client)
    ]
    return [str(i) for i in things if not (isinstance(i, dict) and i.get("State") in ended)]
