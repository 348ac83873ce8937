"""What a migration file begins with for each application: its commands, tests and trees of files.

Commands carry `{web}`, the host they go to over ssh, and those of smoke tests `{url}`, where the
application answers. They are what the projects' own installation guides use; an installation that
differs corrects them in the file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

Kind = Literal["moodle", "openedx", "canvas", "generic"]


@dataclass(frozen=True)
class Smoke:
    """One smoke test: a path that answers, or a command."""

    name: str
    when: Literal["before", "after"]
    path: str | None = None
    contains: str | None = None
    command: str | None = None


@dataclass(frozen=True)
class Preset:
    """Commands by what they are for, smoke tests, and what a person must know."""

    stop: Sequence[str]
    start: Sequence[str]
    smoke: Sequence[Smoke]
    maintenance_on: Sequence[str] = ()
    maintenance_off: Sequence[str] = ()
    # The folder of its files where no configuration says so, and the tree's layout.
    files: tuple[str, str, Literal["plain", "moodle"]] | None = None
    notes: Sequence[str] = field(default_factory=list[str])


_SIGN_IN: Final = Smoke("sign in", "after", command="./smoke/sign-in {url}")
_UPLOAD: Final = Smoke("upload and download", "after", command="./smoke/upload {url}")
_MESSAGES: Final = Smoke("messages", "after", command="./smoke/messages {url}")

PRESETS: Final[Mapping[Kind, Preset]] = {
    "moodle": Preset(
        # Jobs before pages: cron would otherwise start once more.
        stop=["ssh {web} sudo systemctl stop cron", "ssh {web} sudo systemctl stop nginx php-fpm"],
        start=[
            "ssh {web} sudo systemctl start php-fpm nginx cron",
            "ssh {web} sudo -u www-data php /var/www/moodle/admin/cli/purge_caches.php",
        ],
        maintenance_on=[
            "ssh {web} sudo -u www-data php /var/www/moodle/admin/cli/maintenance.php --enable"
        ],
        maintenance_off=[
            "ssh {web} sudo -u www-data php /var/www/moodle/admin/cli/maintenance.php --disable"
        ],
        smoke=[
            Smoke("sign-in page", "before", path="/login/index.php", contains="logintoken"),
            Smoke(
                "cron",
                "before",
                command="ssh {web} sudo -u www-data php /var/www/moodle/admin/cli/cron.php",
            ),
            _SIGN_IN,
            _UPLOAD,
            Smoke("quiz attempt", "after", command="./smoke/quiz {url}"),
            _MESSAGES,
        ],
        files=("moodledata", "/var/moodledata", "moodle"),
        notes=[
            "Keep $CFG->wwwroot as it is; no search and replace.",
            "Maintenance mode is a flag in the database and a file in moodledata; both come over:"
            " maintenance_off runs on the side that opens.",
            "php-fpm may be called php8.2-fpm on your servers.",
        ],
    ),
    "openedx": Preset(
        stop=[
            "ssh {web} tutor local stop lms-worker cms-worker",
            "ssh {web} tutor local stop lms cms",
        ],
        start=["ssh {web} tutor local start -d lms cms lms-worker cms-worker"],
        smoke=[
            Smoke("LMS", "before", path="/heartbeat"),
            _SIGN_IN,
            Smoke("courseware", "after", path="/courses"),
            _UPLOAD,
            Smoke("graded problem", "after", command="./smoke/problem {url}"),
        ],
        files=("openedx-media", "/opt/openedx/data/media", "plain"),
        notes=[
            "Open edX keeps courses in MongoDB as well: firstbell does not carry that.",
            "Its database must be MariaDB or PostgreSQL; preflight refuses MySQL.",
        ],
    ),
    "canvas": Preset(
        stop=[
            "ssh {web} sudo systemctl stop canvas_init",
            "ssh {web} sudo systemctl stop apache2",
        ],
        start=["ssh {web} sudo systemctl start apache2 canvas_init"],
        smoke=[
            Smoke("health", "before", path="/health_check"),
            Smoke("readiness", "before", path="/readiness"),
            _SIGN_IN,
            _UPLOAD,
            Smoke("quiz attempt", "after", command="./smoke/quiz {url}"),
            _MESSAGES,
        ],
        files=("canvas-files", "/var/canvas/tmp/files", "plain"),
        notes=[
            "canvas_init runs delayed_jobs: it must stand still before the pages do.",
            "Sessions are encrypted cookies: with the same secrets nobody has to sign in again.",
        ],
    ),
    "generic": Preset(
        stop=["ssh {web} sudo systemctl stop nginx cron"],
        start=["ssh {web} sudo systemctl start nginx cron"],
        smoke=[Smoke("front page", "before", path="/"), _SIGN_IN],
    ),
}
