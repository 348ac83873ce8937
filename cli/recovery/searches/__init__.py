"""How to find each resource type of the provider's table in a cloud: one module a service.

A module has `SEARCHES` (resource type -> search) and may have `REPEATABLE`: types whose creation
can be repeated without harm and which have no id of their own.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from typing import Final

from cli.recovery.searches.base import Clients, Inputs, Search

__all__ = ["REPEATABLE", "SEARCHES", "Clients", "Inputs", "Search"]

_MODULES: Final = [
    importlib.import_module(f"{__name__}.{module.name}")
    for module in pkgutil.iter_modules(__path__)
    if module.name != "base"
]
SEARCHES: Final[Mapping[str, Search]] = {
    kind: search for module in _MODULES for kind, search in module.SEARCHES.items()
}
REPEATABLE: Final[frozenset[str]] = frozenset().union(
    *(getattr(module, "REPEATABLE", ()) for module in _MODULES)
)
