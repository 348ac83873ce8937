"""What can happen to a migration, and when: routes through the states, and cells with one fault.

A route begins at a saved moment (`new`, `soak` or `hold`) and ends where the migration rests. It is
played once, and every state's beginning on it is saved. A cell puts one of those back, lets one
thing go wrong there, lets the migration rest, and holds the acknowledged writes against the rows,
and the acknowledged uploads against the files.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

from cli.migration.phases import DONE, MISMATCH
from cli.migration.proof.kills import killed
from cli.migration.proof.writer import Evidence
from infra.errors import FirstbellError
from tests.matrix.world import World

AWAY_SECONDS: Final = 0.7
# A migration that needs more lives to rest does not get on.
_MOST_LIVES: Final = 6
_POLL_SECONDS: Final = 0.005
_FAULT_SECONDS: Final = 30.0
# Until `schema` has locked it, the empty target is as open as it was found.
_EMPTY_TARGET: Final = ("preflight", "prepare", "schema")

Base = Literal["new", "soak", "hold"]


@dataclass(frozen=True)
class Route:
    """A way through the states."""

    name: str
    begins: Base
    goal: str
    ends: str
    # Users are ordered back when this state begins.
    turn_in: str | None = None
    # The states whose points are this route's; None: all.
    states: tuple[str, ...] | None = None


ROUTES: Final = (
    Route("start", "new", "soak", "soak"),
    Route("cutover", "soak", "cutover", "hold"),
    Route("revert", "hold", "back", "soak"),
    Route("abort before flip", "soak", "cutover", "soak", turn_in="drain", states=("abort",)),
    Route("abort after flip", "soak", "cutover", "soak", turn_in="flip", states=("abort",)),
    Route("commit", "hold", "commit", "committed"),
    Route("discard", "soak", "discard", "discarded"),
)
# What is killed or cut while a state is under way.
FAULT_STATES: Final = {
    "start": ("copy",),
    "cutover": ("fence", "drain", "finalize", "verify", "flip", "switch"),
    "abort after flip": ("abort",),
    "revert": ("back_drain", "back_flip", "back_switch"),
}
# While it rests, a fault is followed by an order.
FAULT_RESTS: Final[dict[Base, tuple[str, str]]] = {
    "soak": ("cutover", "hold"),
    "hold": ("back", "soak"),
}
# A server that crashes empties its unlogged tables. Where that happens to one side after
# `finalize` carried them, the sides differ, and users must be back on the source, with exit 3.
EMPTIED: Final = (("verify", "source killed"), ("verify", "target killed"))
FAULTS: Final = (
    "source killed",
    "target killed",
    "both servers killed",
    "servers cut off from one another",
    "runner cut off from both",
)


@dataclass
class Result:
    """How a cell ended."""

    evidence: Evidence | None = None
    problems: list[str] = field(default_factory=list[str])
    kills: int = 0


class Matrix:
    """A world's saved moments, and the cells that begin at them."""

    def __init__(self, world: World) -> None:
        self._world = world
        # Points of the journal by route and state, in order.
        self.points: dict[tuple[str, str], list[str]] = {}

    # The routes, played once

    def prepare(self, say: Callable[[str], None] = lambda _text: None) -> None:
        """Play every route once and save where its states begin."""
        world = self._world
        world.begin()
        world.start_load()
        _writes(world)
        world.save("new")
        for route in ROUTES:
            say(f"recording {route.name}")
            self._record(route)
            if route.name == "start":
                world.rehearsed()
                world.save("soak")
            elif route.name == "cutover":
                world.save("hold")

    def _record(self, route: Route) -> None:
        world = self._world
        world.restore(route.begins)
        since = _order(world, route)
        world.start_load()
        turn = route.turn_in
        while True:
            code = world.nursery.live(kill_at="at:after */enter")
            state = world.run.journal.current.state
            if not killed(code):
                break
            if state == turn:
                world.run.journal.order("back")
                turn = None
            if state != route.ends and (route.states is None or state in route.states):
                world.save(f"{route.name}/{state}")
                world.start_load()
        if code != DONE or state != route.ends:
            last = world.run.journal.last("outcome")
            raise FirstbellError(
                f"{route.name} ended in {state} with {code}",
                why=str(last.data.get("text")) if last else None,
            )
        for event in world.run.journal.events(since):
            if event.phase not in ("enter", "intent", "done"):
                continue
            when = "before" if event.phase == "done" else "after"
            point = f"{when} {event.attempt}/{event.direction}/{event.state}/{event.step}"
            if route.states is None or event.state in route.states:
                self.points.setdefault((route.name, event.state), []).append(
                    f"{point}/{event.phase}"
                )

    def killed(self, *, sample: bool = False) -> Iterator[tuple[Route, str, str]]:
        """Every point at which a runner can die: route, state, point."""
        for route in ROUTES:
            for (name, state), points in self.points.items():
                if name == route.name and state not in ("soak", "hold"):
                    chosen = points[len(points) // 2 :][:1] if sample else points
                    for point in chosen:
                        yield route, state, point

    # Cells

    @staticmethod
    def _moment(route: Route, state: str) -> str:
        """Where a state's beginning was saved; a migration begins in the first one."""
        return route.begins if state == "preflight" else f"{route.name}/{state}"

    def kill(self, route: Route, state: str, point: str, *, times: int = 1) -> Result:
        """The runner dies at one point, `times` lives long, and is started again."""
        world, result = self._world, Result()
        world.restore(self._moment(route, state))
        world.start_load()
        for _ in range(times):
            code = world.nursery.live(kill_at=f"at:{_literally(point)}")
            if killed(code):
                result.kills += 1
                _look(world, result)
        if not result.kills:
            result.problems.append("the point was not reached")
        self._rest(route.ends, result)
        return result

    def fault(self, route: Route, state: str, fault: str) -> Result:
        """Servers die or the network is cut when a state has begun its first effect."""
        world, result = self._world, Result()
        world.restore(self._moment(route, state))
        world.start_load()
        since = world.run.journal.events()[-1].n

        def begun() -> bool:
            return any(
                event.phase == "intent" and event.state == state
                for event in world.run.journal.events(since)
            )

        breaking = threading.Thread(target=self._when, args=(begun, fault, result))
        breaking.start()
        world.nursery.live()
        breaking.join()
        if world.empties and (state, fault) in EMPTIED:
            self._rest("soak", result, code=MISMATCH)
        else:
            self._rest(route.ends, result)
        return result

    def fault_at_rest(self, state: Base, fault: str) -> Result:
        """Servers die or the network is cut while the migration rests; then an order comes."""
        world, result = self._world, Result()
        world.restore(state)
        world.start_load()
        _writes(world)
        self._break(fault)
        result.kills += 1
        _look(world, result)
        _writes(world)
        goal, ends = FAULT_RESTS[state]
        world.run.journal.order(goal)
        self._rest(ends, result)
        return result

    def _when(self, begun: Callable[[], bool], fault: str, result: Result) -> None:
        deadline = time.monotonic() + _FAULT_SECONDS
        while not begun():
            if time.monotonic() > deadline:
                result.problems.append("the state was not reached")
                return
            time.sleep(_POLL_SECONDS)
        self._break(fault)
        result.kills += 1

    def _break(self, fault: str) -> None:
        world = self._world
        source, target = world.servers
        killed_servers = {
            "source killed": [source],
            "target killed": [target],
            "both servers killed": [source, target],
        }.get(fault, [])
        cut = {
            "servers cut off from one another": world.to_peer,
            "runner cut off from both": world.to_runner,
        }.get(fault, [])
        for server in killed_servers:
            server.kill()
        for proxy in cut:
            proxy.cut()
        time.sleep(AWAY_SECONDS)
        for server in killed_servers:
            server.start()
        for proxy in cut:
            proxy.mend()

    def _rest(self, ends: str, result: Result, *, code: int = DONE) -> None:
        """Let it rest, and look at what is left of everybody's writes."""
        world = self._world
        for _ in range(_MOST_LIVES):
            if world.run.journal.current.state == ends and _idle(world):
                break
            ended = world.nursery.live()
            _look(world, result)
            if ended != code and not killed(ended):
                result.problems.append(f"a life ended with {ended}")
        state = world.run.journal.current.state
        if state != ends:
            result.problems.append(f"it rests in {state}, not in {ends}")
        last = world.run.journal.last("outcome")
        if last is None or last.data.get("code") != code:
            result.problems.append(f"its outcome is {last and last.data}")
        _writes(world, problems=result.problems)
        world.stop_load()
        sides = [server.open_to_applications() for server in (world.run.source, world.run.target)]
        if sorted(sides) != [False, True] and ends != "discarded":
            result.problems.append(f"open sides at the end: {sides}")
        if ends in ("committed", "discarded"):
            engine = world.run.engine
            left = [w for s in (engine.source, engine.target) for w in engine.leftovers(s)]
            result.problems += [f"left: {each}" for each in left]
        if ends == "discarded":
            result.evidence = world.scene.evidence(world.scene.source)
        else:
            result.evidence = world.evidence()
        on_target = ends in ("hold", "committed")
        result.problems += world.uploads.problems(
            world.scene.mounted if on_target else world.scene.dataroot
        )
        if not result.evidence.clean:
            result.problems.append(f"evidence: {result.evidence.to_json()}")


def _idle(world: World) -> bool:
    """Whether no order waits that a resting migration has yet to follow."""
    now = world.run.journal.current
    return now.goal not in {"soak": ("cutover", "discard"), "hold": ("back", "commit")}.get(
        now.state, ()
    )


def _order(world: World, route: Route) -> int:
    """Give the route's order; the number of the last event before it."""
    events = world.run.journal.events()
    if route.begins != "new":
        world.run.journal.order(route.goal)
    return events[-1].n if events else 0


def _look(world: World, result: Result) -> None:
    """Never do both sides take writes."""
    state = world.run.journal.current.state
    sides = [server.open_to_applications() for server in (world.run.source, world.run.target)]
    if sides == [True, True] and state not in (*_EMPTY_TARGET, "discard", "discarded"):
        result.problems.append(f"both sides take writes in {state}")


def _writes(world: World, *, problems: list[str] | None = None) -> None:
    """Users can write."""
    try:
        world.scene.wait_for_writes(10)
    except FirstbellError as error:
        if problems is None:
            raise
        problems.append(str(error))


def _literally(point: str) -> str:
    """A point as a shell pattern that matches nothing else."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in point)
