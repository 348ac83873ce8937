"""Reading measured load from CSV."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.errors import InputError, Problems
from infra.season.history import (
    History,
    parse_history,
    read_history,
    utc_offsets,
    write_history,
)

STOCKHOLM = ZoneInfo("Europe/Stockholm")
START = int(datetime(2025, 8, 18, tzinfo=UTC).timestamp()) // 60


def stamp(minute: int) -> str:
    return f"{datetime.fromtimestamp((START + minute) * 60, UTC):%Y-%m-%dT%H:%M:%S}Z"


def rows(days: int = 8, step: int = 60) -> list[str]:
    """Lines of a history that starts on 2025-08-18; the line of row n is n + 2."""
    return [f"{stamp(minute)},{minute % 97}.5" for minute in range(0, days * 1440, step)]


def text(lines: list[str], header: str = "timestamp,requests_per_second") -> bytes:
    return "\n".join([header, *lines, ""]).encode()


def problems(data: bytes) -> list[str]:
    with pytest.raises(Problems) as caught:
        parse_history(data, "load.csv")
    return [str(problem) for problem in caught.value.problems]


def test_a_history_is_read_with_its_classes_and_its_resolution() -> None:
    lines = [f"{row},1,2" for row in rows(step=5)]
    history = parse_history(
        text(
            lines,
            "timestamp,requests_per_second,login_requests_per_second,static_requests_per_second",
        ),
        "load.csv",
    )
    assert history.first == datetime(2025, 8, 18, tzinfo=UTC)
    assert history.end == datetime(2025, 8, 26, tzinfo=UTC)
    assert history.resolution_minutes == 5
    assert history.requests_per_second[:3].tolist() == [0.5, 5.5, 10.5]
    assert set(history.classes) == {"login", "static"}
    assert set(history.classes["static"].tolist()) == {2.0}
    assert history.warnings == ()


def test_offsets_are_applied_row_by_row() -> None:
    lines = [line.replace("Z", "+00:00") for line in rows()]
    lines[5] = lines[5].replace("05:00:00+00:00", "07:00:00+02:00")
    lines[6] = lines[6].replace("06:00:00+00:00", "01:30:00-04:30")
    history = parse_history(text(lines), "load.csv")
    assert (np.diff(history.minutes) == 60).all()


@pytest.mark.parametrize(
    "change",
    [
        lambda line: line.replace("T", " "),
        lambda line: line.replace(":00Z", "Z"),
        lambda line: line.replace("Z", ".000Z"),
        lambda line: '"' + line.replace(",", '","') + '"',
        lambda line: line.replace(",", ", "),
        lambda line: line.replace("-", "").replace(":", ""),
    ],
)
def test_every_way_to_write_a_time_gives_the_same_history(change: object) -> None:
    assert callable(change)
    plain = parse_history(text(rows()), "load.csv")
    changed = parse_history(text([str(change(line)) for line in rows()]), "load.csv")
    assert changed.minutes.tolist() == plain.minutes.tolist()
    assert changed.requests_per_second.tolist() == plain.requests_per_second.tolist()


def test_local_times_are_read_in_the_zone_given_and_the_repeated_hour_is_told_apart() -> None:
    utc = parse_history(text(rows(days=80)), "load.csv")
    lines = [
        f"{datetime.fromtimestamp(minute * 60, STOCKHOLM):%Y-%m-%dT%H:%M:%S},1"
        for minute in utc.minutes.tolist()
    ]
    local = parse_history(text(lines), "load.csv", STOCKHOLM)
    assert local.minutes.tolist() == utc.minutes.tolist()


def test_gzip_and_a_byte_order_mark_and_crlf_are_read(tmp_path: Path) -> None:
    path = tmp_path / "load.csv.gz"
    path.write_bytes(gzip.compress(b"\xef\xbb\xbf" + text(rows()).replace(b"\n", b"\r\n")))
    assert len(read_history(path).minutes) == 8 * 24


@given(
    st.lists(st.floats(0, 1e5), min_size=8 * 24, max_size=8 * 24),
    st.sampled_from(["load.csv", "load.csv.gz"]),
)
def test_what_was_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, values: list[float], name: str
) -> None:
    path = tmp_path_factory.mktemp("history") / name
    minutes = START + 60 * np.arange(len(values))
    rates = np.array(values)
    written = History("x", minutes, rates, {"login": rates / 2}, 60)
    write_history(written, path)
    back = read_history(path)
    assert back.minutes.tolist() == minutes.tolist()
    np.testing.assert_allclose(back.requests_per_second, rates, rtol=1e-5)
    np.testing.assert_allclose(back.classes["login"], rates / 2, rtol=1e-5)


def test_writing_the_same_history_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    history = parse_history(text(rows()), "load.csv")
    paths = [tmp_path / "a.csv.gz", tmp_path / "b.csv.gz"]
    for path in paths:
        write_history(history, path)
    assert paths[0].read_bytes() == paths[1].read_bytes()


def with_row(row: int, line: str) -> bytes:
    lines = rows()
    lines[row] = line
    return text(lines)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (with_row(3, f"{stamp(180)},-1"), "load.csv:5: requests_per_second is -1"),
        (with_row(3, f"{stamp(180)},nan"), "load.csv:5: requests_per_second is nan"),
        (with_row(3, f"{stamp(180)},many"), "load.csv:5: 'many' is no number"),
        (with_row(3, f"{stamp(180)},"), "load.csv:5: '' is no number"),
        (with_row(3, f"{stamp(180)},1,2"), "load.csv:5: has 3 fields, not 2"),
        (with_row(3, f"{stamp(120)},1"), "load.csv:5: 2025-08-18T02:00Z stands twice"),
        (with_row(3, f"{stamp(60)},1"), "load.csv:5: 2025-08-18T01:00Z goes back in time"),
        (with_row(3, f"{stamp(190)},1"), "load.csv:5: 2025-08-18T03:10Z is not a multiple of 60"),
        (with_row(3, "2025-08-18T03:00:00,1"), "load.csv:5: '2025-08-18T03:00:00' has no time zo"),
        (with_row(3, "2025-02-30T03:00:00Z,1"), "load.csv:5: '2025-02-30T03:00:00Z' is no time"),
        (with_row(3, "2025-08-18T24:10:00Z,1"), "load.csv:5: '2025-08-18T24:10:00Z' is no time"),
        (text(rows(), "timestamp,request_per_second"), "load.csv:1: unknown column"),
        (text(rows(), "timestamp,timestamp"), "load.csv:1: column 'requests_per_second' is miss"),
        (b'10.0.0.1 - - [10/Oct/2025:13:55:36 +0200] "GET /" 200 1', "load.csv:1: unknown column"),
    ],
)  # fmt: skip
def test_a_wrong_row_is_named_with_its_line(data: bytes, message: str) -> None:
    assert problems(data)[0].startswith(message)


def test_all_wrong_rows_are_reported_together_up_to_twenty() -> None:
    lines = [line.replace("Z", "") for line in rows()]
    found = problems(text(lines))
    assert len(found) == 21
    assert found[-1] == "load.csv: and more of the kind"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (text([]), "has no load in it"),
        (b"", "is empty"),
        (text(rows(days=1)[:1]), "has a single row"),
        (text(rows(days=6)), "covers 6.0 days"),
        (text(rows(days=20, step=1440)), "its rows are 1440 minutes apart"),
    ],
)
def test_a_history_that_shows_too_little_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_history(data, "load.csv")


def test_seven_days_are_enough() -> None:
    assert len(parse_history(text(rows(days=7)), "load.csv").minutes) == 168


def test_gaps_are_a_warning_that_names_the_longest() -> None:
    lines = rows()
    del lines[50:53], lines[20]
    (warning,) = parse_history(text(lines), "load.csv").warnings
    assert warning == (
        "line 51: 2 gaps, 240 minutes in all; the longest lasts 180 minutes from 2025-08-20T02:00Z"
    )


def test_a_missing_or_broken_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read it"):
        read_history(tmp_path / "none.csv")
    cut = tmp_path / "cut.csv.gz"
    cut.write_bytes(gzip.compress(text(rows()))[:-20])
    with pytest.raises(InputError, match="cut off"):
        read_history(cut)


@pytest.mark.parametrize(
    "name", ["Europe/Stockholm", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"]
)
def test_offsets_are_those_of_the_zone_at_each_minute(name: str) -> None:
    zone = ZoneInfo(name)
    minutes = START + np.arange(0, 500 * 1440, 127)
    offsets = utc_offsets(minutes, zone)
    for minute, offset in zip(minutes.tolist(), offsets.tolist(), strict=True):
        there = datetime.fromtimestamp(minute * 60, zone).utcoffset()
        assert there is not None
        assert there.total_seconds() == offset * 60
