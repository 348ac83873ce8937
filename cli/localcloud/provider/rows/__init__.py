"""The table: every resource type of pulumi-aws that `infra/` uses, one row each.

To add a type: write a `Row` in the module of its service, run
`python -m cli.localcloud.provider.schema`, and add the type to the program in
`tests/cli/localcloud/provider/`.
"""

from __future__ import annotations

from typing import Final

from cli.localcloud.provider.machine import Row
from cli.localcloud.provider.rows import acm, appautoscaling, autoscaling, ec2, elb, iam, rds

ROWS: Final[dict[str, Row]] = {
    row.type: row
    for module in (ec2, iam, acm, elb, autoscaling, rds, appautoscaling)
    for row in module.ROWS
}
TOKENS: Final = tuple(ROWS)
