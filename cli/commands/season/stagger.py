"""season stagger: what spreading logins would save, and a slot for each school."""

from __future__ import annotations

from pathlib import Path

import click

from cli import render
from cli.commands.season import options
from cli.context import Context, pass_context


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


@click.command("stagger", epilog="Example: firstbell season stagger -s demo --over 20 --over 40")
@options.season_file
@click.option(
    "--over",
    multiple=True,
    type=click.IntRange(1, 240),
    metavar="MINUTES",
    help="Spread every burst over at least so many minutes; 20, 30 and 40 unless given.",
)
@click.option(
    "--schools",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="CSV",
    help="Schools (name,pupils,market,bell): a slot before its bell for each.",
)
@pass_context
def command(
    context: Context, *, season_file: Path | None, over: tuple[int, ...], schools: Path | None
) -> None:
    """Show what spreading logins over more minutes saves: peak and unit-hours.

    With --schools each school gets a slot of 5 minutes within the longest --over minutes before its
    bell, so that few sign in together. Quiet hours come from the season's histories.
    """
    from cli import answers, planning
    from infra.season import stagger
    from infra.season.plan import read_season

    minutes = over or (20, 30, 40)
    source = planning.source(context, season_file)
    season = read_season(source.path)
    listed = stagger.read_schools(schools, season) if schools else []
    with render.step(f"planning {source.path.name} {len(minutes) + 1} times"):
        spreads = stagger.spreads(
            season,
            minutes,
            bounds=planning.bounds_of(source, season),
            cache=planning.profile_cache(),
        )
    slots = stagger.slots(listed, over=max(minutes))
    quiet = answers.quiet(source)
    if context.json:
        render.emit_json(
            "season-stagger",
            {
                "spreads": [
                    {
                        "minutes": item.minutes,
                        "target": item.target,
                        "peak": item.peak,
                        "instance_hours": item.instance_hours,
                        "cost": None,
                    }
                    for item in spreads
                ],
                "slots": [
                    {
                        "school": slot.school.name,
                        "market": slot.school.market,
                        "pupils": slot.school.pupils,
                        "bell": _clock(slot.school.bell),
                        "from": _clock(slot.at),
                        "to": _clock(slot.at + slot.minutes),
                    }
                    for slot in slots
                ],
                "busiest_slot_pupils": stagger.busiest_slot(slots),
                "quiet": {
                    file: [
                        {
                            "weekday": item.weekday,
                            "at": item.at,
                            "requests_per_second": round(item.requests_per_second, 3),
                            "share_of_busiest": round(item.share, 4),
                            "days": item.days,
                        }
                        for item in found
                    ]
                    for file, found in quiet.items()
                },
            },
        )
        return
    render.table(
        "Every burst spread over at least",
        ["minutes", "target", "peak units", "unit-hours"],
        [
            (item.minutes or "as it is", item.target, item.peak, f"{item.instance_hours:,.0f}")
            for item in spreads
        ],
    )
    if slots:
        render.table(
            f"Slots; at most {stagger.busiest_slot(slots):,} pupils sign in within one",
            ["school", "market", "pupils", "bell", "sign in"],
            [
                (
                    slot.school.name,
                    slot.school.market,
                    f"{slot.school.pupils:,}",
                    _clock(slot.school.bell),
                    f"{_clock(slot.at)}-{_clock(slot.at + slot.minutes)}",
                )
                for slot in slots
            ],
        )
    for file, found in quiet.items():
        render.table(
            f"Quiet hours of {file}, local time",
            ["day", "from", "requests/s", "of the busiest", "days"],
            [
                (i.weekday, i.at, f"{i.requests_per_second:,.1f}", f"{i.share:.0%}", i.days)
                for i in found
            ],
        )
