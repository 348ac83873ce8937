"""season learn: from access logs to a history, and what the season's histories teach."""

from __future__ import annotations

from pathlib import Path

import click

from cli import render
from cli.commands.season import options
from cli.context import Context, pass_context


@click.command(
    "learn",
    epilog="Example: firstbell season learn access.log access.log.*.gz --output demand/site.csv",
)
@click.argument("files", nargs=-1, metavar="[FILE]...", type=click.Path(path_type=Path))
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="CSV",
    help="Where the history goes; gzipped when the name ends in .gz.",
)
@click.option(
    "--static",
    metavar="REGEX",
    help="Requests (METHOD /path) that are static; else by file extension.",
)
@click.option("--login", metavar="REGEX", help="Requests that are logins; else by usual paths.")
@options.season_file
@pass_context
def command(
    context: Context,
    *,
    files: tuple[Path, ...],
    output: Path | None,
    static: str | None,
    login: str | None,
    season_file: Path | None,
) -> None:
    """Count access logs into a history, or list what the season's histories teach.

    FILEs are logs of nginx, Apache, IIS (W3C) or Application Load Balancers, or histories (CSV),
    plain or gzip, of one site; several hosts add up. The history has a row a minute, with dynamic,
    static and login requests apart. Without FILEs, the profiles that are learnt from the season's
    own histories are listed: kinds of day, the days each rests on, growth, and what was left out.
    """
    from infra.errors import InputError

    if not files:
        if output is not None:
            raise InputError(
                "there is nothing to write: no file to learn from was named",
                where="--output",
                fix="name the logs: firstbell season learn FILE... --output CSV",
            )
        _list_profiles(context, season_file)
        return
    if output is None:
        raise InputError(
            "it is not said where the history goes",
            where="--output",
            fix="add --output demand/site.csv",
        )
    _learn(context, files, output, static, login)


def _learn(
    context: Context, files: tuple[Path, ...], output: Path, static: str | None, login: str | None
) -> None:
    from cli import learning
    from infra.season.learn import patterns_of

    with render.step(f"reading {len(files)} file{'s' if len(files) > 1 else ''}") as progress:
        learnt = learning.learn(files, output, patterns_of(static, login), progress=progress)
    for warning in learnt.warnings:
        render.warn(warning)
    history = learnt.history
    if context.json:
        render.emit_json(
            "season-learn",
            {
                "output": str(output),
                "from": history.first.isoformat(),
                "to": history.end.isoformat(),
                "resolution_minutes": history.resolution_minutes,
                "rows": len(history.minutes),
                "files": [
                    {
                        "file": str(file.path),
                        "format": file.format,
                        "lines": file.lines,
                        "malformed": file.malformed,
                        "samples": list(file.samples),
                    }
                    for file in learnt.files
                ],
                "warnings": list(learnt.warnings),
                "notes": list(learnt.notes),
            },
        )
        return
    if learnt.files:
        render.table(
            "Logs",
            ["file", "format", "lines", "malformed"],
            [
                (file.path, file.format, f"{file.lines:,}", f"{file.malformed:,}")
                for file in learnt.files
            ],
        )
    for file in learnt.files:
        for sample in file.samples:
            render.text(f"malformed: {sample}")
    for note in learnt.notes:
        render.text(note)
    render.text(f"wrote {output}")


def _list_profiles(context: Context, season_file: Path | None) -> None:
    from cli import learning, planning

    source = planning.source(context, season_file)
    with render.step(f"learning from the histories of {source.path.name}"):
        found = learning.profiles(source)
    if context.json:
        render.emit_json("season-profiles", {"histories": [item.to_json() for item in found]})
        return
    for item in found:
        render.table(
            f"{item.file} ({item.market or 'whole site'}), quantile {item.profiles.quantile}",
            ["kind of day", "rests on days", "borrowed from", "peak requests/s", "at"],
            [
                (
                    profile.kind,
                    profile.days,
                    profile.borrowed_from,
                    f"{total[at]:,.1f}",
                    f"{at // 60:02}:{at % 60:02}",
                )
                for profile in item.profiles.kinds.values()
                for total in (profile.rates["total"],)
                for at in (int(total.argmax()),)
            ],
        )
        growth = item.profiles.growth
        render.text(
            "growth over the year before: "
            + (f"{growth:.3f}" if growth else "not known, there are no two years to compare")
        )
        for left_out in item.profiles.left_out:
            render.text(f"left out: {left_out}")
        for note in item.profiles.notes:
            render.text(note)
