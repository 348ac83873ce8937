"""From logs and histories to one history of a site."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from infra.errors import InputError, Problems
from infra.season.history import read_history, write_history
from infra.season.learn import learn, patterns_of, quiet_slots

START = datetime(2026, 9, 7, 6, tzinfo=UTC)


def log(folder: Path, *, hours: int = 8 * 24, name: str = "access.log", bad: int = 0) -> Path:
    """A request each hour, `bad` garbage lines at the end."""
    path = folder / name
    lines = [
        f'203.0.113.5 - - [{START + timedelta(hours=n):%d/%b/%Y:%H:%M:%S %z}] "GET / HTTP/1.1" 200'
        for n in range(hours)
    ]
    path.write_text("\n".join([*lines, *["garbage"] * bad, ""]))
    return path


def test_what_was_learnt_can_be_read_as_a_history(tmp_path: Path) -> None:
    learnt = learn([log(tmp_path)])
    assert learnt.history.requests_per_second[:61].tolist() == [1 / 60, *[0] * 59, 1 / 60]
    target = tmp_path / "history.csv.gz"
    write_history(learnt.history, target)
    back = read_history(target)
    assert back.minutes.tolist() == learnt.history.minutes.tolist()
    np.testing.assert_allclose(
        back.requests_per_second, learnt.history.requests_per_second, rtol=1e-5
    )


def test_it_says_what_the_data_cannot_support(tmp_path: Path) -> None:
    assert learn([log(tmp_path)]).notes == (
        "8 days at 1 minutes; the peak is 0.0 requests/s at 2026-09-07T06:00Z",
        "less than eight weeks: breaks, exams and grading weeks must be declared",
        "less than two years: growth cannot be learnt and must be declared",
        "100.0 % are dynamic requests",
        "0.0 % are static requests",
        "0.0 % are login requests",
    )


def test_logs_and_a_csv_of_another_host_add_up(tmp_path: Path) -> None:
    table = tmp_path / "other.csv"
    write_history(learn([log(tmp_path)]).history, table)
    both = learn([log(tmp_path), table])
    assert both.history.requests_per_second[0] == pytest.approx(2 / 60, rel=1e-4)


def test_csv_at_another_resolution_is_not_added(tmp_path: Path) -> None:
    table = tmp_path / "other.csv"
    rows = [f"{START + timedelta(minutes=5 * n):%Y-%m-%dT%H:%MZ},1" for n in range(3000)]
    table.write_text("\n".join(["timestamp,requests_per_second", *rows]))
    with pytest.raises(InputError, match="rows of 1 and 5 minutes"):
        learn([log(tmp_path), table])
    assert learn([table]).history.resolution_minutes == 5


def test_less_than_a_week_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cover 6\.9 days"):
        learn([log(tmp_path, hours=166)])
    assert learn([log(tmp_path, hours=169)])


def test_many_malformed_lines_are_a_warning_with_the_first(tmp_path: Path) -> None:
    assert learn([log(tmp_path, bad=1)]).warnings == ()
    path = log(tmp_path, bad=3)
    assert learn([path]).warnings == (
        f"{path}: 3 of 195 lines are malformed, the first is {path}:193: garbage",
    )


def test_a_wrong_csv_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    table = tmp_path / "load.csv"
    table.write_text("timestamp,requests_per_second\n2026-09-07,1\n")
    with pytest.raises(Problems, match="no time zone"):
        learn([table])
    with pytest.raises(InputError, match="cannot read it"):
        learn([tmp_path / "none.log"])


def test_a_pattern_that_is_no_expression_is_refused() -> None:
    with pytest.raises(InputError, match=r"--login: .*no regular expression"):
        patterns_of(None, "(")
    assert patterns_of(None, "^GET /enter$").class_of("GET /enter") == 2


def test_quiet_slots_come_from_the_quietest() -> None:
    rate = np.full(1440, 10.0)
    rate[600:660] = 1.0
    rate[720:725] = 100.0
    slots = quiet_slots(rate, first=540, last=780, minutes=30)
    assert slots[:3] == [(600, 0.01), (630, 0.01), (540, 0.1)]
    assert slots[-1] == (720, 1.0)
