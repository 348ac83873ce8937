"""Every recorded kind and amended operation, one module a service, named as in botocore."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from typing import Final

from cli.localcloud.recorded.base import Amended, Handler, Recorded

_MODULES: Final = [
    importlib.import_module(f"{__name__}.{module.name}")
    for module in pkgutil.iter_modules(__path__)
]
RECORDED: Final[tuple[Recorded, ...]] = tuple(
    kind for module in _MODULES for kind in getattr(module, "RECORDED", ())
)
AMENDED: Final[tuple[Amended, ...]] = tuple(
    amended for module in _MODULES for amended in getattr(module, "AMENDED", ())
)


def _handlers() -> Mapping[str, dict[str, Handler]]:
    found: dict[str, dict[str, Handler]] = {}
    for kind in RECORDED:
        found.setdefault(kind.service, {}).update(kind.handlers() | kind.tag_handlers())
    for amended in AMENDED:
        found.setdefault(amended.service, {})[amended.operation] = amended.handler
    return found


# Service, as botocore names it -> operation -> what answers it.
HANDLERS: Final = _handlers()


def records(service: str, operation: str) -> bool:
    """Whether an operation (as boto3 names it) creates or sets something that is only recorded."""
    from botocore import xform_name

    return any(
        kind.service == service and operation in map(xform_name, kind.create.split())
        for kind in RECORDED
    )
