"""Oracle or SQL Server through DMS: one way, proven before users follow, back until `switch`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import psycopg
import pytest

from cli.migration import gate, orders, runner
from cli.migration.dms.engine import DmsEngine
from cli.migration.journal import Journal, root
from cli.migration.machine import Run
from cli.migration.proof.kills import Nursery, kill_log, killed
from cli.migration.states import drift
from infra.errors import FirstbellError, InputError
from tests.cli.migration.conftest import Outcome, closing, order, rehearsed
from tests.cli.migration.dms.conftest import School

Firstbell = Callable[..., Outcome]


def soaking(school: School) -> Run:
    """The migration carried to `soak`, with one rehearsal in its journal."""
    journal = Journal.create(root("school") / "journal.db", "school")
    journal.remember("accepted", ["no-way-back"])
    run = closing(runner.build("school", journal))
    hurry(run)
    assert runner.carry(run, watch=False) == 0
    assert journal.current.state == "soak"
    school.tell_latency(1.5)
    rehearsed(run)
    return run


def hurry(run: Run) -> None:
    """Look at the statistics at every step; the player renews them all the time."""
    assert isinstance(run.engine, DmsEngine)
    run.engine.pause = 0.0


def test_a_school_moves_to_the_target_and_stays_there(school: School) -> None:
    run = soaking(school)
    school.write(school.source, "while it soaks")
    assert order(run, "cutover") == 0, run.journal.last("outcome")
    assert run.journal.current.state == "hold"
    assert "while it soaks" in school.people(school.target)
    with pytest.raises(psycopg.OperationalError):
        school.write(school.source, "too late")
    # Sequences go on after what was carried: ids do not collide, a free one is where it was.
    assert school.write(school.target, "on the target") == 52
    assert school.value(school.target, "SELECT nextval('lms.ticket')") == 4712
    assert school.value(school.target, "SELECT max(length(text)) FROM lms.essay") == 100_000
    assert order(run, "commit") == 0
    assert run.journal.current.state == "committed"
    assert school.dms.describe_endpoints()["Endpoints"] == []
    assert school.dms.describe_replication_tasks()["ReplicationTasks"] == []
    assert school.value(school.target, "SELECT to_regnamespace('firstbell')::text") is None


def test_after_an_abort_the_source_is_written_and_a_second_cutover_works(school: School) -> None:
    # Whichever side's names DMS tells tables by: here the target's, elsewhere the source's.
    school.player.target_names = True
    run = soaking(school)
    school.player.halt()

    def order_back() -> None:
        if run.journal.current.state == "drain" and school.player.halted:
            run.journal.order("back")
            school.player.halted = False

    run.stop = order_back
    assert order(run, "cutover") == 0
    assert run.journal.current.state == "soak"
    school.write(school.source, "after the abort")
    with pytest.raises(psycopg.OperationalError):
        school.write(school.target, "not yet")
    assert order(run, "cutover") == 0
    assert run.journal.current.state == "hold"
    assert "after the abort" in school.people(school.target)


def test_changes_that_do_not_arrive_in_time_bring_users_back(school: School) -> None:
    run = soaking(school)
    rehearsed(run, 0.5)
    run.window = timedelta(seconds=8)
    school.player.halt()

    def move_again_on_the_way_back() -> None:
        if run.journal.current.direction == "back":
            school.player.halted = False

    run.stop = move_again_on_the_way_back
    assert order(run, "cutover") == 4
    assert run.journal.current.state == "soak"
    assert school.write(school.source, "still here") > 0


def test_a_row_that_differs_is_found_and_users_stay_on_the_source(school: School) -> None:
    school.player.spoil["lms.essay"] = "UPDATE lms.essay SET text = left(text, 32768)"
    run = soaking(school)
    assert order(run, "cutover") == 3
    assert run.journal.current.state == "soak"
    last = run.journal.last("outcome")
    assert last is not None
    assert "lms.essay: 1 rows differ" in str(last.data["text"])
    assert school.write(school.source, "still here") > 0


def test_rows_that_dms_counted_and_the_target_lacks_are_found(school: School) -> None:
    run = soaking(school)
    school.player.halt()
    with psycopg.connect(school.target.dsn("lms")) as conn:
        conn.execute("SET session_replication_role = replica")
        conn.execute("DELETE FROM lms.essay WHERE id = 7")
    assert isinstance(run.engine, DmsEngine)
    compared = run.engine.compare(run, "forward")
    assert list(compared.problems) == ["lms.essay: DMS brought 20 rows, the target has 19"]


def test_a_task_that_failed_needs_a_person_and_users_stay_on_the_source(school: School) -> None:
    run = soaking(school)
    school.fail_the_task()
    assert run.engine.lost("forward")
    with pytest.raises(InputError, match="replication"):
        gate.refuse(gate.evaluate(run))
    assert school.write(school.source, "still here") > 0


def test_a_lag_that_cloudwatch_does_not_know_closes_the_gate(school: School) -> None:
    run = soaking(school)
    lag = {item.name: item for item in gate.evaluate(run)}["lag"]
    assert (lag.green, lag.detail) == (True, "2 s behind")
    school.tell_latency(600)
    assert not {item.name: item for item in gate.evaluate(run)}["lag"].green


def test_ddl_on_the_source_is_noticed(school: School) -> None:
    run = soaking(school)
    assert drift(run) == []
    school.player.reported["lms.person"]["Ddls"] = 1
    assert isinstance(run.engine, DmsEngine)
    (found,) = drift(run)
    assert "lms.person" in str(found)
    with psycopg.connect(school.target.dsn("lms")) as conn:
        conn.execute("ALTER TABLE lms.essay ADD COLUMN mark int")
    assert {each.kind for each in drift(run)} == {"ddl of the source", "column"}


def test_a_lock_command_that_does_not_lock_stops_the_cutover(school: School) -> None:
    school.write_spec(lock=[["true"]])
    run = soaking(school)
    rehearsed(run, 0.5)
    run.window = timedelta(seconds=8)
    assert order(run, "cutover") == 4
    assert run.journal.current.state == "soak"
    assert school.write(school.source, "still here") > 0


def test_switch_asks_for_the_name(school: School, firstbell: Firstbell) -> None:
    run = soaking(school)
    run.close()
    refused = firstbell("cutover", "-m", "school")
    assert refused.code == 2
    assert "point of no return" in refused.err
    assert "--confirm school" in refused.err


def test_preflight_says_that_there_is_no_way_back(school: School, firstbell: Firstbell) -> None:
    found = firstbell("preflight", "-m", "school")
    assert found.code == 2
    assert "no-way-back" in found.out
    assert firstbell("preflight", "-m", "school", "--accept", "no-way-back").code == 0


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ("DROP TABLE lms.firstbell_token", "token-table"),
        ("INSERT INTO lms.person (name) VALUES ('early')", "target-not-empty"),
        ("CREATE TABLE lms.keyless (a int)", "no-primary-key"),
        ("DROP SCHEMA lms CASCADE", "target-schema"),
    ],
)
def test_preflight_finds_a_target_that_dms_would_fail_on(
    school: School, statement: str, name: str
) -> None:
    with psycopg.connect(school.target.dsn("lms")) as conn:
        conn.execute(statement.encode())
    assert name in {each.name for each in orders.check("school") if each.severity == "blocker"}


def test_preflight_finds_a_probe_that_proves_nothing(school: School) -> None:
    school.write_spec(probe=["false"])
    found = {each.name for each in orders.check("school") if each.severity == "blocker"}
    assert found == {"source-probe"}


def test_a_command_that_is_not_there_is_named(school: School) -> None:
    school.write_spec(token=["no-such-sqlplus"])
    with pytest.raises(FirstbellError, match="no-such-sqlplus"):
        orders.check("school")


@pytest.mark.parametrize("printed", ["lms.ticket", "lms.ticket many", "lms.nothing 5"])
def test_a_sequences_command_that_prints_something_else_is_refused(
    school: School, printed: str
) -> None:
    school.write_spec(sequences=["echo", printed])
    run = soaking(school)
    assert order(run, "cutover") == 1
    assert run.journal.current.state == "soak"


def test_discard_leaves_both_sides_as_they_were(school: School) -> None:
    run = soaking(school)
    assert order(run, "discard") == 0
    assert run.journal.current.state == "discarded"
    assert school.people(school.target) == set()
    assert school.dms.describe_endpoints()["Endpoints"] == []
    assert school.write(school.target, "open again") > 0
    assert school.write(school.source, "as ever") > 0


def test_a_runner_killed_once_at_every_journal_write_loses_nothing(
    school: School, capsys: pytest.CaptureFixture[str]
) -> None:
    run = soaking(school)
    run.journal.remember("window length", "10h")
    run.journal.order("cutover")
    kills = school.folder / "kills.txt"
    nursery = Nursery.open("school", f"each:{kills}")
    lives = 0
    while killed(code := nursery.live()):
        lives += 1
        assert lives < 200, f"no progress in {run.journal.current}"
        open_sides = [s for s in (school.source, school.target) if school.value(s, MAY_SIGN_IN)]
        assert len(open_sides) < 2, f"both take writes in {run.journal.current}"
    nursery.close()
    assert (code, run.journal.current.state) == (0, "hold")
    with capsys.disabled():
        print(f"\nDMS: {len(kill_log(school.folder))} kills of the cutover")  # noqa: T201
    assert len(kill_log(school.folder)) > 20
    assert school.people(school.target) == school.people(school.source)
    with pytest.raises(psycopg.OperationalError):
        school.write(school.source, "too late")
    assert school.write(school.target, "and on") > 0


MAY_SIGN_IN = "SELECT rolcanlogin FROM pg_roles WHERE rolname = 'lms_app'"
