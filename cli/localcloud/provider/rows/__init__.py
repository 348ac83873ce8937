"""The table: every resource type of pulumi-aws that `infra/` uses, one row each.

One module a service, each with its `ROWS`. To add a type: write a `Row` in the module of its
service, run `python -m cli.localcloud.provider.schema`, say how to look for one in
`cli/recovery/searches/`, and add it to its service's chapter in
`tests/cli/localcloud/provider/chapters/`.

Where moto lacks the operations of a type (try it first), they are *recorded*: declare the kind in
`cli/localcloud/recorded/kinds/<service>.py`, for example

    Recorded(
        service="backup",                       # as botocore names it
        kind="backup selection",
        key="BackupPlanId SelectionId",         # what names one; a last part not given is made up
        create="CreateBackupSelection",         # operations as botocore spells them
        describe="GetBackupSelection",
        delete="DeleteBackupSelection",
        list="ListBackupSelections",
        made={"CreationDate": NOW},             # what AWS adds: values, NOW, CHANGED, VERSION,
    )                                           # texts ("arn:aws:backup:{region}:{account}:...")

and write the row as for any other type: its calls go to the same endpoint, where the recorded API
answers them, for boto3 and the `aws` command as well. A request is checked against botocore's
model; what it says is kept until the server ends, shown by `describe` and `list`, changed by
`update`, so that drift is seen. See `Recorded` for `put` (creation that replaces), `unset` (options
that are there before they are set), `unique`, `tagging`, `everywhere` (global services), `wanted`
(filters of listings) and `check` (what AWS refuses). Where moto has an operation but answers it
badly, `Amended(service, operation, handler)` lets `handler` ask moto and put the answer right.
Previews mark the types in `RECORDED` 'recorded, not emulated'; it follows from the kinds.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Final

from cli.localcloud.provider.machine import Row, Step
from cli.localcloud.recorded.kinds import records

ROWS: Final[dict[str, Row]] = {
    row.type: row
    for module in pkgutil.iter_modules(__path__)
    for row in importlib.import_module(f"{__name__}.{module.name}").ROWS
}
TOKENS: Final = tuple(ROWS)
# Types whose creation is recorded, and moves nothing.
RECORDED: Final = frozenset(
    row.type
    for row in ROWS.values()
    if records(row.service, row.create.operation if isinstance(row.create, Step) else row.create)
)
