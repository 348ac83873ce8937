"""season prices: the table of prices, refreshed from AWS."""

from __future__ import annotations

from pathlib import Path

import click

from cli import render
from cli.context import Context, pass_context


@click.command(
    "prices", epilog="Example: firstbell season prices -s production --output prices.yaml"
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    metavar="FILE",
    help="The table; other prices in it stay.",
)
@pass_context
def command(context: Context, output: Path) -> None:
    """Ask AWS what the stack's machines cost, for `season plan --prices`.

    On-demand prices in the stack's Region of each tier's first instance type and the database's
    class, from the AWS Price List API (needs pricing:GetProducts); tested on answers of its shape,
    not yet shown against AWS itself. The table is YAML: version 1, currency, and prices, each with
    region, item, per_hour, source, date; write it by hand where AWS cannot be asked.
    """
    from cli import pricing
    from infra import clock
    from infra.errors import InputError
    from infra.settings.stack import read_stack

    settings = read_stack(context.require_stack(), cloud=context.cloud)
    if settings.cloud == "local":
        raise InputError(
            f"the stack {settings.stack} is on the local cloud, which has no price list",
            where=f"stacks/Pulumi.{settings.stack}.yaml",
            fix="name a stack on AWS, or write the table by hand",
        )
    import boto3

    with render.step("asking the AWS Price List API"):
        client = boto3.client("pricing", region_name=pricing.ENDPOINT_REGION)
        found = pricing.refresh(client, settings, output, today=clock.now("aws").date())
    if context.json:
        render.emit_json(
            "season-prices",
            {
                "output": str(output),
                "currency": pricing.CURRENCY,
                "prices": [price.model_dump(mode="json") for price in found],
            },
        )
        return
    render.table(
        f"Prices an hour in {pricing.CURRENCY}",
        ["item", "region", "price", "date", "source"],
        [(p.item, p.region, f"{p.per_hour:g}", p.date, p.source) for p in found],
    )
    render.text(f"wrote {output}")
