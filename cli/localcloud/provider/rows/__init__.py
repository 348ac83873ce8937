"""The table: every resource type of pulumi-aws that `infra/` uses, one row each.

One module a service, each with its `ROWS`. To add a type: write a `Row` in the module of its
service, run `python -m cli.localcloud.provider.schema`, say how to look for one in
`cli/recovery/searches/`, and add it to its service's chapter in
`tests/cli/localcloud/provider/chapters/`.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Final

from cli.localcloud.provider.machine import Row

ROWS: Final[dict[str, Row]] = {
    row.type: row
    for module in pkgutil.iter_modules(__path__)
    for row in importlib.import_module(f"{__name__}.{module.name}").ROWS
}
TOKENS: Final = tuple(ROWS)
