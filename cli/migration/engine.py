"""What the state machine asks of a kind of database, and the words both sides share.

The states, the journal, the budget, the orders and the supervisor know these protocols only;
`postgres_engine.py` and `mariadb/` implement them. Whatever an engine changes is an idempotent
effect in the journal, and it looks at the world before it changes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, Protocol, cast, runtime_checkable

from cli.migration.phases import HUMAN
from infra.errors import FirstbellError

if TYPE_CHECKING:
    from cli.migration.machine import Run
    from cli.migration.spec import Rehearsal

# Forward replicates source to target, back the other way round.
Way = Literal["forward", "back"]
WAYS: Final[tuple[Way, ...]] = ("forward", "back")
Severity = Literal["blocker", "accept", "note"]
# Differences named in a message; a person needs the first few.
NAMED: Final = 20


class NeedsHumanError(FirstbellError):
    """Nothing automatic is safe any more."""

    exit_code = HUMAN


@dataclass(frozen=True)
class Finding:
    """One thing preflight saw."""

    name: str
    # A blocker is never let through; `accept` is when a person accepts it by name.
    severity: Severity
    detail: str
    fix: str = ""

    def __str__(self) -> str:
        return f"{self.name}: {self.detail}" + (f" (fix: {self.fix})" if self.fix else "")

    def blocks(self, accepted: frozenset[str]) -> bool:
        """Whether the migration must not start."""
        return self.severity == "blocker" or (
            self.severity == "accept" and self.name not in accepted
        )


@dataclass(frozen=True)
class Difference:
    """One object that differs: between the sides, or from what the side was."""

    kind: str
    name: str
    source: str | None
    target: str | None

    def __str__(self) -> str:
        return (
            f"{self.kind} {self.name}: source {self.source or 'has none'};"
            f" target {self.target or 'has none'}"
        )


# (kind, name) -> definition
Lines = dict[tuple[str, str], str]


def differences(source: Lines, target: Lines) -> list[Difference]:
    """Everything that is not equal, sorted."""
    return [
        Difference(kind, name, source.get((kind, name)), target.get((kind, name)))
        for kind, name in sorted(source.keys() | target.keys())
        if source.get((kind, name)) != target.get((kind, name))
    ]


def since_copy(side: str, before: Lines, now: Lines) -> list[Difference]:
    """What changed on one side since the copy, named as such."""
    return [
        Difference(
            each.kind, f"{each.name} (on the {side}, since the copy)", each.source, each.target
        )
        for each in differences(before, now)
    ]


def to_json(lines: Lines) -> list[list[str]]:
    return [[kind, name, definition] for (kind, name), definition in sorted(lines.items())]


def from_json(value: object) -> Lines:
    rows = cast("list[tuple[str, str, str]]", value)
    return {(kind, name): definition for kind, name, definition in rows}


@dataclass(frozen=True)
class Stream:
    """One direction of replication, as its publisher and its subscriber see it."""

    active: bool
    # The publisher no longer has what the subscriber needs next.
    lost: bool
    behind_bytes: int
    retained_bytes: int
    errors: int
    # A place in the publisher's log, in bytes, that only ever grows; for the apply rate.
    applied_bytes: int | None = None
    # Where an engine knows its lag in time and not in bytes; infinite when it does not know it.
    behind_seconds: float | None = None


@dataclass(frozen=True)
class Compared:
    """All rows of both sides held against one another."""

    rows: int
    tables: int
    seconds: float
    problems: Sequence[str]
    # What else was compared: name -> count.
    also: Mapping[str, int] = field(default_factory=dict[str, int])
    # Rows whose contents were compared; the others were counted, chunk by chunk. None: all.
    hashed: int | None = None


class Server(Protocol):
    """One side's database: its accounts, its fence, what of ours is in it."""

    side: str
    # What the names of all our objects begin with.
    base: str

    @property
    def address(self) -> str:
        """Host, port and database, for people; no secret."""
        ...

    def ping(self) -> None:
        """Raises one of the engine's `away` when the server does not let us in."""
        ...

    def close(self) -> None: ...

    def cancel(self) -> None:
        """End the statement that runs, from another thread; there may be none."""
        ...

    def installed(self) -> bool:
        """Whether our schema is in it."""
        ...

    def install(self, journal: str, runner: str) -> None:
        """Create our schema and sign it; raises InputError when another journal owns it."""
        ...

    def refuse_other_owner(self, journal: str) -> None:
        """Raises InputError when another migration, or another runner's journal, is at work."""
        ...

    def owner(self) -> tuple[str, str] | None:
        """Migration and journal that signed it."""
        ...

    def copied(self) -> bool:
        """Whether the first copy into it was complete."""
        ...

    def login_roles(self) -> list[str]:
        """Roles (accounts) that may sign in, our own and the service's apart."""
        ...

    def fence(self) -> list[str]:
        """Take the login away from every role but ours, remembering which had it."""
        ...

    def fenced_roles(self) -> list[str]:
        """Those who had it."""
        ...

    def lift(self) -> list[str]:
        """Give the login back to those who had it."""
        ...

    def strangers(self) -> Sequence[tuple[int, str]]:
        """Sessions that are not ours: number and role."""
        ...

    def expel(self) -> int:
        """End every session that is not ours; how many there were."""
        ...

    def open_to_applications(self) -> bool:
        """Whether a role that the fence would lock may sign in now."""
        ...

    def prepared_transactions(self) -> int:
        """Transactions that would commit through the fence."""
        ...

    def probe_write(self) -> bool:
        """Write as an application would; True when it worked."""
        ...


@runtime_checkable
class ChangedChunks(Protocol):
    """An engine that can compare what was written since a mark alone; its `compare` does so when
    the journal remembers marks under `verify since`.
    """

    def marks(self) -> dict[str, int]:
        """A place in each side's history, by side."""
        ...

    def seconds_for_changed(self, since: Mapping[str, int]) -> float:
        """How long comparing what was written since takes now."""
        ...


class Lock(Protocol):
    """Held on the source by a session of its own, so that a second machine's runner waits."""

    def take(self) -> None:
        """Raises InputError when another runner holds it for longer than a dead one could."""
        ...

    def hold(self) -> None:
        """Take it again when its session broke."""
        ...

    def close(self) -> None: ...


class Load(Protocol):
    """A synthetic application that writes to whichever scratch side takes it."""

    written: int

    def start(self) -> None: ...

    def end(self) -> None: ...


class Stage(Protocol):
    """The scratch databases of a rehearsal."""

    @property
    def left_out(self) -> Sequence[str]:
        """What this engine's scratch copy leaves out."""
        ...

    @property
    def accepted(self) -> frozenset[str]:
        """Findings that do not matter on scratch databases."""
        ...

    @property
    def engine(self) -> Engine:
        """The two scratch databases as the two sides of a migration."""
        ...

    def build(self) -> None:
        """Make both databases, and fill the first from the soaking target."""
        ...

    def clear(self) -> None:
        """Drop both, whatever state they are in, and what else was made for them."""
        ...

    def load(self, writes_per_second: float) -> Load: ...


class Engine(Protocol):
    """Two databases of one kind, and everything about them that the states do not know."""

    title: str
    # Whether replication can run back; without it `switch` is the point of no return.
    reversible: bool

    @property
    def source(self) -> Server: ...

    @property
    def target(self) -> Server: ...

    @property
    def away(self) -> tuple[type[Exception], ...]:
        """What is raised when a server or the network is away, or refuses us."""
        ...

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """Whatever the driver raises."""
        ...

    def clone(self) -> Engine:
        """The same two databases with connections of its own, for another thread."""
        ...

    def lock(self) -> Lock: ...

    def find_programs(self) -> None:
        """Raises InputError when a client program that will be needed is not on this runner."""
        ...

    def inspect(self, run: Run) -> Iterator[Finding]:
        """What preflight finds about both databases; changes nothing that stays."""
        ...

    # preflight … soak

    def prepare(self, run: Run) -> None: ...

    def check_prepared(self) -> None: ...

    def carry_schema(self, run: Run) -> None:
        """Roles and an empty schema to the target, and the target locked."""
        ...

    def check_schema(self) -> None: ...

    def copy(self, run: Run) -> None:
        """The first copy, and the forward stream from exactly where it ends."""
        ...

    def finish_copy(self) -> None:
        """Raises MismatchError when the catalogues differ; else marks the copy as complete."""
        ...

    def baseline(self) -> dict[str, Lines]:
        """Per side what can only be compared with the same side's own past."""
        ...

    def drift(self, baseline: Mapping[str, Lines] | None) -> list[Difference]:
        """DDL on either side since the copy."""
        ...

    def healing(self, difference: Difference, behind: str) -> str:
        """The statement that brings the side that is behind level."""
        ...

    # Replication

    def stream(self, way: Way) -> Stream | None:
        """How a direction does, or None when it is not set up."""
        ...

    def lost(self, way: Way) -> bool:
        """Whether a direction cannot go on where it stands."""
        ...

    def subscribed(self, way: Way) -> bool:
        """Whether the subscriber of this direction is set up, running or not."""
        ...

    def running(self, way: Way) -> bool: ...

    def halt(self, way: Way) -> None:
        """Let the subscriber stand still; it goes on where it stands."""
        ...

    def go_on(self, way: Way) -> None: ...

    def tables_ready(self) -> tuple[int, int]:
        """Tables that follow the forward stream, and all tables."""
        ...

    def keep_up(self, run: Run) -> None:
        """What must be looked after while the migration soaks or holds."""
        ...

    # The cutover and its way back

    def drain(self, run: Run, way: Way) -> None:
        """A token, and everything before it, durable on the other side; both sides unchanged."""
        ...

    def refuse_lost(self, way: Way) -> None:
        """Raises NeedsHumanError when the direction cannot go on."""
        ...

    def finalize(self, run: Run, way: Way) -> None:
        """Bring over what replication does not carry; the other direction does not exist yet."""
        ...

    def compare(self, run: Run, way: Way) -> Compared:
        """Every row and everything countable, both sides fenced."""
        ...

    def compare_live(self) -> tuple[int, list[str]]:
        """Rows compared while users write, and the tables that truly differ."""
        ...

    def moodle_contents(self, server: Server) -> tuple[str, set[str]] | None:
        """The table that names Moodle's file contents, and the names; None without such a table."""
        ...

    def flip(self, run: Run, old: Way) -> None:
        """Turn replication round. Both sides are fenced, and the old direction is drained."""
        ...

    def before_reopening(self, run: Run, *, flipping: bool) -> bool:
        """Stop the back direction; False when the forward one cannot go on any more.

        `flipping` says that the way back began in `flip`, with both sides fenced and equal.
        """
        ...

    def rearm(self, run: Run) -> None:
        """Remove the back direction and let the forward one go on; the source is open."""
        ...

    def remove(self, run: Run) -> None:
        """Remove both directions and whatever else is ours; what is gone already stays gone."""
        ...

    def leftovers(self, server: Server) -> list[str]:
        """Everything on a side that a migration of ours left."""
        ...

    def empty_target(self, run: Run) -> None:
        """Make the target as it was found, with everybody let in again."""
        ...

    # Figures

    def sizes(self) -> tuple[int, int]:
        """Rows (as statistics guess) and bytes of what is replicated."""
        ...

    def observed_rate(self) -> float:
        """Rows written a second on the source, over a short time."""
        ...

    def stage(self, run: Run, wanted: Rehearsal) -> Stage: ...
