"""`season stagger`, `what-if`, `diff` and `export`: seasons and plans for the answers."""

from __future__ import annotations

from pathlib import Path

from cli.planning import Source, profile_cache
from infra.errors import InputError, nearest
from infra.season.history import read_history
from infra.season.plan import Plan, build_plan, read_plan, read_season
from infra.season.stagger import Quiet, quiet_slots


def plan_of(path: Path) -> Plan:
    """The plan in a file, or that of a season file, built now.

    Raises:
        InputError, Problems: the file is neither, or the season is wrong.
    """
    if path.suffix == ".json":
        return read_plan(path)
    return build_plan(read_season(path), cache=profile_cache())


def quiet(source: Source) -> dict[str, list[Quiet]]:
    """The quiet slots of each history that the season names, by its file."""
    season = read_season(source.path)
    zones = {market.name: market.zone for market in season.markets}
    return {
        str(item.file): quiet_slots(
            read_history(season.path.parent / item.file), zones.get(item.market or "", season.zone)
        )
        for item in season.demand.history
    }


def target_name(plan: Plan, wanted: str | None) -> str:
    """The target to export: the one named, else the only Auto Scaling group of the plan.

    Raises:
        InputError: there is no such target, or the plan has not exactly one group.
    """
    names = list(plan.targets)
    if wanted is not None:
        if wanted in names:
            return wanted
        close = nearest(wanted, names)
        raise InputError(
            f"the plan has no target {wanted!r}",
            where="--target",
            fix=f"did you mean {close}?" if close else f"one of: {', '.join(names)}",
        )
    groups = [name for name, item in plan.targets.items() if item.kind == "autoscaling-group"]
    if len(groups) == 1:
        return groups[0]
    raise InputError(
        "it is not said which target is meant",
        where="--target",
        fix=f"one of: {', '.join(names)}",
    )
