"""Access logs, line by line and by the megabyte."""

from __future__ import annotations

import gzip
import random
import re
from collections import Counter
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest

from infra.errors import InputError
from infra.season import logs
from infra.season.history import History
from infra.season.logs import Patterns, read_logs

AT = datetime(2026, 9, 7, 8, 10, 5, tzinfo=timezone(timedelta(hours=2)))
NGINX = (
    '203.0.113.5 - - [{at:%d/%b/%Y:%H:%M:%S %z}] "{method} {path} HTTP/1.1" 200 2326 '
    '"https://lms.example.org/" "Mozilla/5.0 [FBAN] (X11)"'
)
APACHE_VHOST = (
    "lms.example.org:443 2001:db8::1 - anna [{at:%d/%b/%Y:%H:%M:%S %z}] "
    '"{method} {path} HTTP/2.0" 200 -'
)
ALB = (
    "h2 {utc:%Y-%m-%dT%H:%M:%S}.186641Z app/lms/24f2cb 203.0.113.5:2817 10.0.0.66:80 0.000 0.001 "
    '0.000 200 200 34 366 "{method} https://lms.example.org:443{path} HTTP/2.0" "curl/8" - - arn '
    '"Root=1-58337262" "lms.example.org" "-" 0 {utc:%Y-%m-%dT%H:%M:%S}.186000Z "forward" "-" "-"'
)
IIS_HEAD = (
    "#Software: Microsoft Internet Information Services 10.0\n#Version: 1.0\n"
    "#Date: 2026-09-07 06:10:00\n"
    "#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip "
    "cs(User-Agent) sc-status time-taken"
)
IIS = (
    "{utc:%Y-%m-%d %H:%M:%S} 10.0.0.4 {method} {path} a=1&b=2 443 - 203.0.113.5 Mozilla/5.0+(X) "
    "200 12"
)


def line(form: str, at: datetime = AT, method: str = "GET", path: str = "/my/") -> str:
    return form.format(at=at, utc=at.astimezone(UTC), method=method, path=path)


def week(form: str) -> list[str]:
    """One request an hour for eight days."""
    return [line(form, AT + timedelta(hours=n)) for n in range(8 * 24)]


def saved(folder: Path, lines: list[str], name: str = "access.log") -> Path:
    path = folder / name
    text = "\n".join([*lines, ""]).encode()
    path.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    return path


def counted(history: History) -> dict[tuple[int, str], int]:
    """Requests by minute and class."""
    return {
        (minute, name): round(float(rate) * 60)
        for name, rates in history.classes.items()
        for minute, rate in zip(history.minutes.tolist(), rates, strict=True)
        if rate
    }


@pytest.mark.parametrize("form", [NGINX, APACHE_VHOST, ALB, IIS])
def test_each_format_is_recognised_and_counted_by_class(tmp_path: Path, form: str) -> None:
    lines = [
        line(form),
        line(form, path="/theme/app.css"),
        line(form, path="/pix/logo.PNG?v=3" if form != IIS else "/pix/logo.PNG"),
        line(form, method="POST", path="/login/index.php"),
        line(form, AT + timedelta(minutes=1), path="/" + "long/" * 60),
        line(form, AT + timedelta(minutes=1), path="/" + "long/" * 60 + "a.js"),
    ]
    head = [IIS_HEAD] if form == IIS else []
    report = read_logs([saved(tmp_path, head + lines)])
    minute = int(AT.timestamp()) // 60
    assert counted(report.history) == {
        (minute, "dynamic"): 1,
        (minute, "static"): 2,
        (minute, "login"): 1,
        (minute + 1, "dynamic"): 1,
        (minute + 1, "static"): 1,
    }
    assert report.malformed == 0
    assert report.history.requests_per_second.tolist() == [4 / 60, 2 / 60]


@pytest.mark.parametrize("form", [NGINX, APACHE_VHOST, ALB, IIS])
@pytest.mark.parametrize("block", [300, 5000, 8_000_000])
def test_any_order_of_lines_and_any_size_of_block_give_the_same_counts(
    tmp_path: Path, form: str, block: int
) -> None:
    rng = random.Random(7)  # noqa: S311 (nothing secret)
    requests = [("GET", "/my/"), ("GET", "/a/b.css"), ("POST", "/saml/acs"), ("GET", "/x?y=z")]
    expected: Counter[tuple[int, str]] = Counter()
    lines: list[str] = []
    classes = ["dynamic", "static", "login", "dynamic"]
    for _ in range(3000):
        at = AT + timedelta(minutes=rng.randrange(60 * 24 * 60))
        kind = rng.randrange(4)
        method, path = requests[kind]
        lines.append(line(form, at, method, path))
        expected[int(at.timestamp()) // 60, classes[kind]] += 1
    path = saved(tmp_path, ([IIS_HEAD] if form == IIS else []) + lines)
    assert counted(read_logs([path], block_bytes=block).history) == dict(expected)


def test_hosts_rotated_files_and_gzip_add_up(tmp_path: Path) -> None:
    paths = [
        saved(tmp_path, [line(NGINX)], "a.log"),
        saved(tmp_path, [line(NGINX)] * 2, "a.log.1.gz"),
        saved(tmp_path, [line(ALB)] * 3, "b.log"),
    ]
    report = read_logs(paths)
    assert counted(report.history) == {(int(AT.timestamp()) // 60, "dynamic"): 6}
    assert [file.format for file in report.files] == [
        "nginx or Apache",
        "nginx or Apache",
        "Application Load Balancer",
    ]


def test_the_offset_of_each_line_counts(tmp_path: Path) -> None:
    utc = AT.astimezone(UTC)
    report = read_logs([saved(tmp_path, [line(NGINX), line(NGINX, utc)])])
    assert counted(report.history) == {(int(AT.timestamp()) // 60, "dynamic"): 2}


def test_the_fields_of_iis_may_change_within_a_file(tmp_path: Path) -> None:
    other = "#Fields: time date cs-uri-stem c-ip cs-method"
    rows = [line(IIS), other, f"{AT.astimezone(UTC):%H:%M:%S %Y-%m-%d} /a.css 203.0.113.5 GET"]
    report = read_logs([saved(tmp_path, [IIS_HEAD, *rows, IIS_HEAD, line(IIS)])])
    minute = int(AT.timestamp()) // 60
    assert counted(report.history) == {(minute, "dynamic"): 2, (minute, "static"): 1}
    assert report.malformed == 0


def test_malformed_lines_are_counted_and_sampled_with_their_line(tmp_path: Path) -> None:
    lines = [line(NGINX)] * 20
    lines[3] = "garbage"
    lines[5] = line(NGINX).replace("Sep", "Xyz")
    lines[7] = line(NGINX).replace('"GET /my/ HTTP/1.1"', '"\\x16\\x03\\x01"')
    lines[9] = line(NGINX).replace("07/Sep", "31/Sep")
    path = saved(tmp_path, lines)
    report = read_logs([path])
    assert (report.lines, report.malformed) == (20, 4)
    assert [sample.split(":")[1] for sample in report.files[0].samples] == ["4", "6", "8", "10"]
    assert counted(report.history)[int(AT.timestamp()) // 60, "dynamic"] == 16


def test_control_characters_of_a_malformed_line_are_shown_not_sent(tmp_path: Path) -> None:
    path = saved(tmp_path, [*[line(NGINX)] * 12, "\x1b[2J\x00gone"])
    (sample,) = read_logs([path]).files[0].samples
    assert sample == f"{path}:13: \\x1b[2J\\x00gone"


def test_only_the_first_malformed_lines_are_kept(tmp_path: Path) -> None:
    report = read_logs([saved(tmp_path, [line(NGINX)] * 50 + ["garbage"] * 40)])
    assert report.malformed == 40
    assert len(report.files[0].samples) == 5


def test_minutes_without_a_request_are_zero_but_a_missing_day_is_left_out(tmp_path: Path) -> None:
    lines = [
        line(NGINX),
        line(NGINX, AT + timedelta(minutes=9)),
        line(NGINX, AT + timedelta(days=2)),
    ]
    report = read_logs([saved(tmp_path, lines)])
    assert len(report.history.minutes) == 11
    assert report.history.requests_per_second[1] == 0
    assert report.notes == (
        f"{tmp_path / 'access.log'}: no line between 2026-09-07T06:19Z and 2026-09-09T06:10Z: "
        "taken as a missing log, not as no load",
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n\n\n", "no access log"),
        (b"Sep  7 08:10:05 host sshd[12]: Accepted publickey\n" * 30, "no access log"),
        (b"timestamp,requests_per_second\n", "no access log"),
        (b"#Fields: date time cs-uri-stem\n2026-09-07 06:10:05 /\n", "lacks cs-method"),
        (b"#Fields: date time cs-method cs-uri-stem\n", "has no request"),
        (b"\x1f\x8b\x08broken", "cannot read it"),
    ],
)
def test_what_is_no_access_log_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "access.log"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_logs([path])


def test_a_missing_file_and_a_cut_gzip_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read it"):
        read_logs([tmp_path / "none.log"])
    path = saved(tmp_path, week(NGINX), "cut.gz")
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(InputError, match="cannot read it"):
        read_logs([path])


def test_more_days_than_memory_is_promised_for_are_refused(tmp_path: Path) -> None:
    lines = [line(NGINX, AT + timedelta(days=n)) for n in range(1501)]
    assert len(read_logs([saved(tmp_path, lines[:1500])]).history.minutes) > 0
    with pytest.raises(InputError, match="more than 1500 different days"):
        read_logs([saved(tmp_path, lines)])


def test_forgetting_requests_and_times_changes_no_count(tmp_path: Path) -> None:
    lines = [line(NGINX, AT + timedelta(minutes=n), path=f"/course/{n}.css") for n in range(500)]
    report = read_logs([saved(tmp_path, lines)], block_bytes=2000, most_remembered=10)
    assert np.sum(report.history.classes["static"]) == pytest.approx(500 / 60)


def test_own_patterns_replace_the_defaults(tmp_path: Path) -> None:
    patterns = Patterns(login=re.compile("^GET /enter$"), static=re.compile("/cdn/"))
    lines = [line(NGINX, path=path) for path in ("/enter?x", "/cdn/a", "/a.css")]
    report = read_logs([saved(tmp_path, lines)], patterns=patterns)
    assert sorted(name for _, name in counted(report.history)) == ["dynamic", "login", "static"]


@pytest.mark.parametrize(
    ("request_line", "name"),
    [
        ("GET /theme/styles.php/boost/all", "dynamic"),
        ("GET /static/app.9f3.js?v=2", "static"),
        ("GET https://lms.example.org:443/a/b.woff2", "static"),
        ("GET https://lms.example.org", "dynamic"),
        ("POST /login/canvas", "login"),
        ("GET /login/canvas", "dynamic"),
        ("POST /Shibboleth.sso/SAML2/POST", "login"),
        ("GET /auth/complete/tpa-saml/", "login"),
        ("GET /auth/oauth2/callback", "login"),
        ("GET /courses/blog-in-english", "dynamic"),
    ],
)
def test_default_patterns_tell_classes_apart(request_line: str, name: str) -> None:
    assert logs.CLASSES[Patterns().class_of(request_line)] == name


def test_progress_counts_plain_bytes(tmp_path: Path) -> None:
    path = saved(tmp_path, week(NGINX), "a.log.gz")
    told: list[int] = []
    read_logs([path], progress=told.append)
    assert sum(told) == len(gzip.decompress(path.read_bytes()))
