"""The season file: its shape, and what can be checked without a calendar.

What belongs here: reading YAML, pydantic models, checks inside one file. What does not: which kind
a day is (`calendar`), what a minute needs (`demand`, `capacity`).

How the file is to be read where the words alone do not say it:

- Times such as `"08:10"` are local to the market's zone; dates are inclusive on both ends.
- `profiles` hold, per kind of day, the requests per second for each 1,000 `users` of a market from
  a local time until the next one (a step, no interpolation); before the first time of the day the
  last one of the same list holds.
- A kind without a profile borrows: `break` and `holiday` from `weekend`; exam, grading, enrolment
  and custom from the kind that the day would have without its period.
- A period's `factor` multiplies what the day would have without the period.
- A burst's `days`: `school` (days whose kind without periods is school), `all`, another kind of
  day, or a list of weekdays, whatever the kind of the day.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import re
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Final, Literal, Self, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    field_validator,
    model_validator,
)

from infra import yaml_file
from infra.errors import InputError, nearest
from infra.season import limits
from infra.validation import validate

WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
# From the least special to the most special.
BASE_KINDS: Final = ("school", "weekend", "break", "holiday")
PERIOD_KINDS: Final = ("custom", "enrolment", "grading", "exam")
KINDS: Final = (*BASE_KINDS, *PERIOD_KINDS)
CLASSES: Final = ("dynamic", "static", "login")

LONGEST_BOOT: Final = 12 * 60

Weekday: TypeAlias = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
RequestClass: TypeAlias = Literal["dynamic", "static", "login"]
TargetKind: TypeAlias = Literal[
    "autoscaling-group",
    "aurora-replicas",
    "elasticache-replicas",
    "load-balancer-capacity",
    "worker-hours",
]


def _read_date(value: object) -> object:
    if isinstance(value, bool | int | float):
        raise ValueError("write a date like 2026-08-17")  # noqa: TRY004 (pydantic wants it)
    return value


def _read_zone(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError("write a zone like Europe/Stockholm")  # noqa: TRY004 (pydantic wants it)
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        close = nearest(value, available_timezones())
        hint = f", did you mean {close!r}?" if close else ""
        raise ValueError(f"unknown time zone{hint}") from error
    return value


def _read_kind(value: object) -> object:
    if not isinstance(value, str) or (value not in KINDS and not value.startswith("custom:")):
        close = nearest(str(value), KINDS)
        hint = f"did you mean {close!r}?" if close else f"one of {', '.join(KINDS)}, custom:NAME"
        raise ValueError(f"unknown kind of day, {hint}")
    return value


def _read_days(value: object) -> object:
    if isinstance(value, list):
        days: list[object] = list(value)
        for day in days:
            if day not in WEEKDAYS:
                raise ValueError(f"{day!r} is no weekday; write [mon, tue]")
        return tuple(days)
    if value == "all":
        return value
    try:
        return _read_kind(value)
    except ValueError as error:
        raise ValueError(
            f"write all, a list such as [mon, tue], or a kind of day: {error}"
        ) from error


def read_clock(value: object) -> int:
    """Minutes since midnight of a text like `08:10`.

    Raises:
        ValueError: it is none.
    """
    match = re.fullmatch(r"(\d{1,2}):(\d{2})", value) if isinstance(value, str) else None
    if match is None or int(match[1]) > 23 or int(match[2]) > 59:
        raise ValueError('write a local time like "08:10", in quotes')
    return int(match[1]) * 60 + int(match[2])


def _read_duration(value: object) -> object:
    text = str(value)
    parts = re.findall(r"(\d+(?:\.\d+)?)([smh])", text)
    if not parts or "".join(a + b for a, b in parts) != text.replace(" ", ""):
        raise ValueError("write a duration like 20m, 90s or 1h30m")
    return sum(float(number) * {"s": 1 / 60, "m": 1, "h": 60}[unit] for number, unit in parts)


Date: TypeAlias = Annotated[date, BeforeValidator(_read_date)]
Zone: TypeAlias = Annotated[str, BeforeValidator(_read_zone)]
Kind: TypeAlias = Annotated[str, BeforeValidator(_read_kind)]
BurstDays: TypeAlias = Annotated[str | tuple[str, ...], BeforeValidator(_read_days)]
ClockTime: TypeAlias = Annotated[int, BeforeValidator(read_clock)]
"""A local time of day, in minutes since midnight."""
Minutes: TypeAlias = Annotated[float, BeforeValidator(_read_duration)]
"""A duration, in minutes."""
Positive: TypeAlias = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share: TypeAlias = Annotated[float, Field(gt=0, le=1)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Span(Strict):
    """Dates, both inclusive."""

    name: str = ""
    from_: Date = Field(alias="from")
    to: Date
    source: str = ""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.to < self.from_:
            raise ValueError(f"ends on {self.to}, before it starts on {self.from_}")
        return self

    def __contains__(self, day: date) -> bool:
        return self.from_ <= day <= self.to


class Period(Span):
    kind: Kind
    factor: Positive | None = None

    @field_validator("kind")
    @classmethod
    def _special(cls, kind: str) -> str:
        if kind in BASE_KINDS:
            raise ValueError("a period is exam, grading, enrolment, custom or custom:NAME")
        return kind


class DateException(Strict):
    """A single date that is different; it goes above everything else."""

    date: Date
    kind: Kind
    name: str = ""
    factor: Positive | None = None
    source: str = ""


class Holidays(Strict):
    """Public holidays from the holidays library, and school holidays where it has them.

    `school`: also the library's school category, as breaks. `school_zone`: French zone A, B or C
    from `vacances-scolaires-france`, as breaks.
    """

    country: str
    subdivision: str | None = None
    school: bool = False
    school_zone: Literal["A", "B", "C"] | None = None

    @model_validator(mode="after")
    def _french(self) -> Self:
        if self.school_zone is not None and self.country != "FR":
            raise ValueError("school_zone is for country FR only")
        return self


Profile: TypeAlias = dict[ClockTime, Annotated[float, Field(ge=0, allow_inf_nan=False)]]
Profiles: TypeAlias = dict[Kind, Annotated[Profile, Field(min_length=1)]]


class CoreHours(Strict):
    """Local times of school days in which jobs leave the platform to its users."""

    from_: ClockTime = Field(alias="from")
    to: ClockTime

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.to <= self.from_:
            raise ValueError("core hours end before they begin")
        return self


class Market(Strict):
    name: str = Field(min_length=1)
    timezone: Zone | None = None
    users: Annotated[int, Field(ge=0)] = 0
    weekend: tuple[Weekday, ...] = ("sat", "sun")
    holidays: Holidays | None = None
    terms: tuple[Span, ...] | None = None
    breaks: tuple[Span, ...] = ()
    periods: tuple[Period, ...] = ()
    exceptions: tuple[DateException, ...] = ()
    calendars: tuple[Path, ...] = ()
    profiles: Profiles | None = None
    """Instead of `demand.profiles`, for this market."""
    core_hours: CoreHours | None = None
    source: str = ""

    _zone: str = PrivateAttr(default="UTC")
    _folder: Path = PrivateAttr(default=Path())

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone or self._zone)

    @property
    def calendar_files(self) -> list[Path]:
        return [self._folder / path for path in self.calendars]

    def placed(self, zone: str, folder: Path) -> None:
        """Tell it the season's default zone and folder."""
        self._zone, self._folder = zone, folder

    @field_validator("terms", "breaks")
    @classmethod
    def _apart(cls, spans: tuple[Span, ...] | None) -> tuple[Span, ...] | None:
        refuse_overlap(spans or ())
        return spans

    @field_validator("periods")
    @classmethod
    def _one_of_a_rank(cls, periods: tuple[Period, ...]) -> tuple[Period, ...]:
        for rank in PERIOD_KINDS:
            refuse_overlap([p for p in periods if p.kind.split(":")[0] == rank])
        return periods

    @field_validator("exceptions")
    @classmethod
    def _one_a_date(cls, exceptions: tuple[DateException, ...]) -> tuple[DateException, ...]:
        dates = [exception.date for exception in exceptions]
        for day in sorted(set(dates)):
            if dates.count(day) > 1:
                raise ValueError(f"{day} has more than one exception")
        return exceptions


def refuse_overlap(spans: Sequence[Span]) -> None:
    """Raises ValueError when two spans share a date."""
    ordered = sorted(spans, key=lambda span: (span.from_, span.to, span.name))
    for before, after in itertools.pairwise(ordered):
        if after.from_ <= before.to:
            raise ValueError(
                f"{after.name or 'a span'} starts on {after.from_}, before "
                f"{before.name or 'the one before'} ends on {before.to}"
            )


class HistoryFile(Strict):
    file: Path
    market: str | None = None
    timezone: Zone | None = None
    """For timestamps without an offset; else they are refused."""


class Burst(Strict):
    """A synchronised start. `logins` or `requests` arrive over `over` minutes from `at`."""

    name: str = Field(min_length=1)
    market: str | None = None
    days: BurstDays = "school"
    from_: Date | None = Field(default=None, alias="from")
    to: Date | None = None
    at: ClockTime
    logins: Positive | None = None
    requests: Positive | None = None
    over: Minutes
    shape: tuple[Annotated[float, Field(ge=0)], ...] | None = None
    """Shares of the arrivals in equal parts of `over`; evenly where left out."""
    widen: Minutes = 0.0
    """Minutes before and after in which clocks that differ may start or end the burst."""
    source: str = ""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.logins is None) == (self.requests is None):
            raise ValueError("give either logins or requests")
        if self.over <= 0:
            raise ValueError("`over` must be longer than nothing")
        if self.from_ and self.to and self.to < self.from_:
            raise ValueError(f"ends on {self.to}, before it starts on {self.from_}")
        if self.shape is not None and sum(self.shape) <= 0:
            raise ValueError("`shape` needs at least one share above 0")
        return self


class Demand(Strict):
    history: tuple[HistoryFile, ...] = ()
    quantile: Annotated[float, Field(gt=0, le=1)] = 0.95
    growth: Positive = 1.0
    surge_factor: Positive = 1.0
    profiles: Profiles | None = None
    bursts: tuple[Burst, ...] = ()
    # Assumed: sign-in page, redirect, session, home page with its calls. Override where measured.
    requests_per_login: Positive = 10.0
    weights: dict[RequestClass, Positive] = {}
    """What a request of a class costs against a dynamic one."""

    @field_validator("bursts")
    @classmethod
    def _names_differ(cls, bursts: tuple[Burst, ...]) -> tuple[Burst, ...]:
        names = [burst.name for burst in bursts]
        for name in sorted(set(names)):
            if names.count(name) > 1:
                raise ValueError(f"two bursts are named {name!r}")
        return bursts


class Target(Strict):
    """What one kind of capacity can do; `requests_per_second` is at `utilisation`.

    A target with `against` lives from what others leave of `limits.instances`: it has `units` where
    they leave so many. `worker-hours` has `units` outside the markets' `core_hours`, `core_units`
    within them. Both need no `requests_per_second`.
    """

    kind: TargetKind
    requests_per_second: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    utilisation: Share = 0.6
    floor_utilisation: Share = 0.75
    boot: Minutes = 5.0
    min: Annotated[int, Field(ge=0)] | None = None
    max: Annotated[int, Field(ge=0)] | None = None
    markets: tuple[str, ...] | None = None
    classes: tuple[RequestClass, ...] | None = None
    share: Share = 1.0
    zones: Annotated[int, Field(ge=1, le=6)] = 3
    zone_loss: bool = False
    """Hold the floor even when one of `zones` is lost."""
    min_run: Minutes = 0.0
    """The shortest time that a raised floor is kept."""
    warm_pool: Minutes | None = None
    """Boot time out of the warm pool; `boot` then counts for nothing but the pool itself."""
    against: tuple[str, ...] = ()
    units: Annotated[int, Field(ge=1)] | None = None
    core_units: Annotated[int, Field(ge=0)] = 0
    jobs: tuple[str, ...] = ()
    """What runs in these hours; for people."""
    source: str = ""

    @property
    def from_demand(self) -> bool:
        return self.kind != "worker-hours" and not self.against

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}")
        if self.boot > LONGEST_BOOT:
            raise ValueError("boots longer than 12 hours: no day's schedule can wait for it")
        if self.from_demand and self.requests_per_second == 0:
            raise ValueError("requests_per_second is missing")
        if not self.from_demand and self.units is None:
            raise ValueError("units is missing: how many when nothing stands against it")
        if self.units is not None and self.core_units > self.units:
            raise ValueError(
                f"core_units {self.core_units} is above units {self.units}, and within core hours "
                "there are fewer; lower it"
            )
        most = limits.MOST_UNITS.get(self.kind)
        if most is not None and self.max is not None and self.max > most:
            raise ValueError(f"max {self.max} is above AWS's limit of {most} for {self.kind}")
        return self

    @property
    def boot_minutes(self) -> int:
        """Minutes from the action until a new unit serves, without AWS's lateness."""
        return math.ceil(self.boot if self.warm_pool is None else self.warm_pool)

    @property
    def lead_minutes(self) -> int:
        return self.boot_minutes + limits.LATE_MINUTES


class InstanceCap(Strict):
    """`targets` together never have floors above `max`."""

    max: Annotated[int, Field(ge=1)]
    targets: Annotated[tuple[str, ...], Field(min_length=1)]


class Limits(Strict):
    """`actions`: scheduled actions declared elsewhere, by target; they count in AWS's limit.

    `logins_per_second`: what the identity provider in front bears.
    """

    logins_per_second: Positive | None = None
    instances: InstanceCap | None = None
    actions: dict[str, Annotated[int, Field(ge=0)]] = {}


class Season(Strict):
    version: Literal[1]
    timezone: Zone
    horizon: Span
    markets: tuple[Market, ...]
    demand: Demand
    capacity: Annotated[dict[str, Target], Field(min_length=1)]
    limits: Limits = Limits()
    source: str = ""

    _path: Path = PrivateAttr(default=Path("season.yaml"))

    @property
    def path(self) -> Path:
        return self._path

    @property
    def name(self) -> str:
        return self._path.stem

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    @property
    def files(self) -> list[Path]:
        """Every file that the season names, in the order of naming."""
        calendars = [path for market in self.markets for path in market.calendar_files]
        return calendars + [self._path.parent / item.file for item in self.demand.history]

    def at(self, path: Path) -> Season:
        """The same season, knowing where it was read from."""
        self._path = path
        for market in self.markets:
            market.placed(self.timezone, path.parent)
        return self

    @field_validator("markets")
    @classmethod
    def _names_differ(cls, markets: tuple[Market, ...]) -> tuple[Market, ...]:
        if not markets:
            raise ValueError("list at least one market")
        names = [market.name for market in markets]
        for name in sorted(set(names)):
            if names.count(name) > 1:
                raise ValueError(f"two markets are named {name!r}")
        return markets


class _Loader(yaml.SafeLoader):
    """YAML in which `NO` is Norway and `12:30` is a text."""


_Loader.yaml_implicit_resolvers = {
    letter: [
        (tag, pattern)
        for tag, pattern in resolvers
        if not tag.endswith((":int", ":bool", ":float"))
    ]
    for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(true|false)$"), list("tf"))
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"^[-+]?(0|[1-9][0-9_]*)$"), list("-+0123456789")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"^[-+]?([0-9][0-9_]*)?\.?[0-9]+([eE][-+]?[0-9]+)?$|^[-+]?\.(inf|Inf)$|^\.(nan|NaN)$"
    ),
    list("-+.0123456789"),
)


def load_yaml(path: Path) -> object:
    """The file's content.

    Raises:
        InputError: the file is missing, unreadable or no YAML, or a key stands twice.
    """
    # A SafeLoader with fewer implicit types.
    return yaml_file.read(path, _Loader)


def read_season(path: Path) -> Season:
    """Read a season file; everything that is wrong with its shape is reported together.

    Raises:
        Problems: each problem with its path, such as `markets/sweden/periods/grades`.
        InputError: the file is missing or is no YAML mapping, or a file that it names is missing.
    """
    data = load_yaml(path)
    if not isinstance(data, dict):
        raise InputError("is empty or no mapping", where=str(path), fix="start with `version: 1`")
    return validate(Season, data, str(path)).at(path)


def sha256_of(path: Path) -> str:
    """Hex digest of a file's bytes.

    Raises:
        InputError: the file is missing.
    """
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise InputError(
            "is named by the season but cannot be read", where=str(path), why=str(error)
        ) from error
