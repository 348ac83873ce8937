"""What each state does, what must hold before it is left, and what takes it back.

One table, at the end. Actions look at the world before they change it and are safe to repeat; what
they change is an effect in the journal.
"""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from typing import Final

from cli.migration import route53
from cli.migration.engine import (
    NAMED,
    Difference,
    Finding,
    NeedsHumanError,
    Server,
    Way,
    from_json,
    to_json,
)
from cli.migration.files import Tree
from cli.migration.machine import GoBack, Run, State, Table
from cli.migration.phases import BLOCKED, ERROR
from cli.migration.spec import Side, Smoke, Ways
from infra.errors import FirstbellError, InputError, MismatchError

_SMOKE_STEP_SECONDS: Final = 0.5


def _nothing(_run: Run) -> None:
    """A state whose action already proved what its exit check asks."""


# preflight … soak


def findings(run: Run) -> list[Finding]:
    """Everything that preflight finds, blockers first; raises one of the engine's `away`."""
    found = list(run.engine.inspect(run))
    for tree in run.trees:
        found += tree.preflight()
    if run.spec.switch.route53 is not None and not run.rehearsing:
        found += route53.preflight(run.spec.switch.route53)
    order = {"blocker": 0, "accept": 1, "note": 2}
    return sorted(found, key=lambda finding: order[finding.severity])


def _preflight(run: Run) -> None:
    blockers = [finding for finding in findings(run) if finding.blocks(run.accepted)]
    if blockers:
        raise InputError(
            f"{len(blockers)} blocker{'s' if len(blockers) > 1 else ''}: "
            + "; ".join(str(finding) for finding in blockers),
            fix="firstbell migrate preflight explains each",
        )


def _copy_check(run: Run) -> None:
    run.engine.finish_copy()
    remember_baseline(run)


def remember_baseline(run: Run) -> None:
    """Keep what views, functions and the like look like on each side, to notice changes."""
    found = run.engine.baseline()
    run.journal.remember("baseline", {side: to_json(lines) for side, lines in found.items()})


def drift(run: Run) -> list[Difference]:
    """DDL on either side since the copy: between the sides, or against the side's own baseline."""
    kept = run.journal.fact("baseline")
    if not isinstance(kept, dict):
        return run.engine.drift(None)
    return run.engine.drift({str(side): from_json(lines) for side, lines in kept.items()})


# gate … hold


def _gate(run: Run) -> None:
    from cli.migration import gate

    gate.refuse(gate.evaluate(run))
    gate.open_window(run)


def _commands(run: Run, side: str) -> Side:
    if run.rehearsing and run.spec.rehearsal is not None:
        return run.spec.rehearsal
    return run.spec.application.source if side == "source" else run.spec.application.target


def _fence_side(run: Run, server: Server) -> None:
    commands = _commands(run, server.side)
    run.commands(f"maintenance page on {server.side}", commands.maintenance_on)
    run.commands(f"stop the application on {server.side}", commands.stop)
    run.effect(f"take logins away on {server.side}", server.fence)
    run.effect(f"end sessions on {server.side}", lambda: _expel(run, server))
    if server.prepared_transactions():
        raise GoBack(BLOCKED, f"prepared transactions on {server.side} would commit later")


def _expel(run: Run, server: Server) -> int:
    """End sessions until two looks in a row find none and no role that could sign in."""
    ended = empty_looks = 0
    while empty_looks < 2:
        run.checkpoint()
        fresh = server.fence()
        found = server.expel()
        ended += found
        empty_looks = 0 if found or fresh else empty_looks + 1
        time.sleep(0.02)
    return ended


def _fence_check(run: Run, server: Server) -> None:
    if server.strangers() or server.login_roles():
        raise FirstbellError(f"the fence on {server.side} does not hold")
    if server.probe_write():
        raise FirstbellError(f"a write as an application still works on {server.side}")


def _finalize(run: Run, way: Way) -> None:
    """Bring over what replication does not carry; the other direction does not exist yet."""
    run.engine.finalize(run, way)
    to = receiver(run, way).side
    for tree in run.trees:
        run.effect(
            f"files {tree.name} to {to}",
            lambda t=tree: t.carry(to=to, fenced=True, stop=run.checkpoint),
        )


def receiver(run: Run, way: Way) -> Server:
    """The side that replication in this direction writes."""
    return run.target if way == "forward" else run.source


def giver(run: Run, way: Way) -> Server:
    """The side that replication in this direction reads."""
    return run.source if way == "forward" else run.target


def _verify(run: Run, way: Way) -> None:
    """Compare everything, both sides fenced.

    Raises:
        MismatchError: with every difference named.
    """
    run.journal.intent("verify")
    problems = [str(each) for each in drift(run)]
    compared = run.engine.compare(run, way)
    problems += compared.problems
    files = 0
    for tree in run.trees:
        held, different = tree.compare(stop=run.checkpoint)
        files += held
        problems += different
        problems += _moodle_files(run, tree, way)
    if problems:
        raise MismatchError(
            f"{len(problems)} difference{'s' if len(problems) > 1 else ''} between the sides: "
            + "; ".join(problems[:NAMED]),
            fix="users are back on the source; heal what is named and verify again:"
            " firstbell migrate verify",
        )
    run.journal.done(
        "verify",
        rows=compared.rows,
        seconds=compared.seconds,
        tables=compared.tables,
        files=files,
        **compared.also,
        all_rows=compared.hashed is None,
        hashed=compared.rows if compared.hashed is None else compared.hashed,
    )


def _moodle_files(run: Run, tree: Tree, way: Way) -> list[str]:
    """Hold a Moodle filedir against the table that names its contents.

    A content that the giving side lacks as well was lost before we came: it is noted and blocks
    nothing.
    """
    if tree.spec.layout != "moodle":
        return []
    a, b = giver(run, way).side, receiver(run, way)
    found = run.engine.moodle_contents(b)
    if found is None:
        return []
    table, named = found
    lacking = named - tree.content_hashes("target" if b.side == "target" else "source")
    before = lacking - tree.content_hashes("target" if a == "target" else "source")
    if before:
        run.journal.note("contents that neither side has", count=len(before))
    return [f"content {name} of {table} is missing on the {b.side}" for name in lacking - before]


def _flip_check(run: Run, new: Way) -> None:
    """A token comes back before the other side may open."""
    for server in (run.source, run.target):
        if server.login_roles():
            raise FirstbellError(f"{server.side} is not fenced while replication turns")
    run.engine.drain(run, new)


def _open_side(run: Run, server: Server) -> None:
    """Let users in: roles, application, maintenance page off."""
    commands = _commands(run, server.side)
    run.effect(f"give logins back on {server.side}", server.lift)
    run.commands(f"start the application on {server.side}", commands.start)
    run.commands(f"maintenance page off on {server.side}", commands.maintenance_off)


def _switch(run: Run) -> None:
    for tree in run.trees:
        run.effect(f"marks of {tree.name}", lambda t=tree: t.clear_maintenance())
    _open_side(run, run.target)
    _smoke_tests(run, "before")
    run.commands("switch to the target", _ways(run).to_target)
    _send_users(run, "target")


def _ways(run: Run) -> Ways:
    if run.rehearsing and run.spec.rehearsal is not None:
        return run.spec.rehearsal.switch
    return run.spec.switch


def _smoke_tests(run: Run, when: str) -> None:
    tests = run.spec.application.smoke
    if run.rehearsing and run.spec.rehearsal is not None:
        tests = run.spec.rehearsal.smoke
    for test in tests:
        if test.when != when:
            continue
        run.journal.intent(f"smoke {test.name}")
        problem = run_smoke(run, test)
        if problem is not None:
            raise GoBack(ERROR, f"smoke test {test.name!r} fails: {problem}")
        run.journal.done(f"smoke {test.name}")


def run_smoke(run: Run, test: Smoke) -> str | None:
    """Run one smoke test until it passes or its time is over; None, or what is wrong."""
    deadline = time.monotonic() + test.timeout.total_seconds()
    while True:
        problem = _try_smoke(run, test)
        if problem is None or time.monotonic() >= deadline:
            return problem
        run.checkpoint()
        time.sleep(_SMOKE_STEP_SECONDS)


def _try_smoke(run: Run, test: Smoke) -> str | None:
    if test.command is not None:
        try:
            run.command(f"smoke {test.name}", test.command, run.checkpoint)
        except FirstbellError as error:
            return str(error)
        return None
    try:
        with urllib.request.urlopen(test.url or "", timeout=5) as answer:  # noqa: S310 (the file's own)
            body = answer.read(1_000_000).decode(errors="replace")
            if answer.status != test.status:
                return f"{test.url} answered {answer.status}, not {test.status}"
            if test.contains is not None and test.contains not in body:
                return f"{test.url} does not contain {test.contains!r}"
    except (urllib.error.URLError, OSError) as error:
        return f"{test.url}: {error}"
    return None


def _commit(run: Run) -> None:
    """The point of no return: the source stays fenced, everything of ours goes."""
    if run.source.installed():
        run.journal.remember("fenced for good", run.source.fenced_roles())
    for tree in run.trees:
        run.effect(f"deferred deletions of {tree.name}", lambda t=tree: t.delete_deferred())
    run.engine.remove(run)


def _removed_check(run: Run) -> None:
    for server in (run.source, run.target):
        left = run.engine.leftovers(server)
        if left:
            raise FirstbellError(f"left on {server.side}: {', '.join(left)}")


def _discard(run: Run) -> None:
    """Give up: the source as it was, the target empty."""
    if run.source.installed():
        run.effect("give logins back on source", run.source.lift)
    run.engine.empty_target(run)
    run.engine.remove(run)


# The ways back


def _abort(run: Run) -> None:
    """From before switch's intent: users go on where they were, replication is armed again."""
    turned = run.journal.fact("turned")
    came_from = turned.get("from") if isinstance(turned, dict) else None
    if not run.engine.before_reopening(run, flipping=came_from == "flip"):
        run.journal.remember("slot lost", value=True)
    _open_side(run, run.source)
    for tree in run.trees:
        run.effect(f"marks of {tree.name}", lambda t=tree: t.clear_maintenance())
    if run.journal.fact("slot lost"):
        raise NeedsHumanError(
            "users are on the source, but replication cannot go on where it stopped",
            fix="firstbell migrate abort --discard, then start again",
        )
    run.engine.rearm(run)


def _armed_check(run: Run) -> None:
    if run.target.login_roles():
        raise FirstbellError("the target is open while the source is")
    run.engine.drain(run, "forward")


def _back_switch(run: Run) -> None:
    for tree in run.trees:
        run.effect(f"marks of {tree.name}", lambda t=tree: t.clear_maintenance())
    _open_side(run, run.source)
    run.commands("switch back to the source", _ways(run).to_source)
    _send_users(run, "source")


def _send_users(run: Run, side: str) -> None:
    records = run.spec.switch.route53
    if records is not None and not run.rehearsing:
        run.effect(f"Route 53 to the {side}", lambda: route53.send_to(records, side))


_ROWS: Final = (
    State("preflight", _preflight, _nothing, undo="none"),
    State(
        "prepare",
        lambda run: run.engine.prepare(run),
        lambda run: run.engine.check_prepared(),
        undo="discard",
    ),
    State(
        "schema",
        lambda run: run.engine.carry_schema(run),
        lambda run: run.engine.check_schema(),
        undo="discard",
    ),
    State("copy", lambda run: run.engine.copy(run), _copy_check, undo="discard"),
    State("gate", _gate, _nothing, undo="cancel"),
    State(
        "fence",
        lambda run: _fence_side(run, run.source),
        lambda run: _fence_check(run, run.source),
        undo="abort",
    ),
    State(
        "drain",
        lambda run: run.engine.drain(run, "forward"),
        lambda run: run.engine.refuse_lost("forward"),
        undo="abort",
    ),
    State("finalize", lambda run: _finalize(run, "forward"), _nothing, undo="abort"),
    State("verify", lambda run: _verify(run, "forward"), _nothing, undo="abort"),
    State(
        "flip",
        lambda run: run.engine.flip(run, "forward"),
        lambda run: _flip_check(run, "back"),
        undo="abort",
    ),
    State("switch", _switch, _nothing, undo="revert"),
    State("smoke", lambda run: _smoke_tests(run, "after"), _nothing, undo="revert"),
    State("commit", _commit, _removed_check, undo="none"),
    State("discard", _discard, _removed_check, undo="none"),
    State("abort", _abort, _armed_check, undo="none"),
    State(
        "back_fence",
        lambda run: _fence_side(run, run.target),
        lambda run: _fence_check(run, run.target),
        undo="none",
    ),
    State(
        "back_drain",
        lambda run: run.engine.drain(run, "back"),
        lambda run: run.engine.refuse_lost("back"),
        undo="none",
    ),
    State("back_finalize", lambda run: _finalize(run, "back"), _nothing, undo="none"),
    State("back_verify", lambda run: _verify(run, "back"), _nothing, undo="none"),
    State(
        "back_flip",
        lambda run: run.engine.flip(run, "back"),
        lambda run: _flip_check(run, "forward"),
        undo="none",
    ),
    State("back_switch", _back_switch, _nothing, undo="none"),
)

STATES: Final[Table] = {state.name: state for state in _ROWS}
