"""What an application needs of the rest of its stack, to work and to keep what it is given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from infra.checks.base import PLATFORM, Findings, Subject
from infra.checks.certificate import covered
from infra.errors import Problem
from infra.settings.applications import MoodleApplication
from infra.settings.base import sound, sound_figures
from infra.settings.platform import PlatformSettings

# From this release on Moodle asks for MySQL 8.4 or newer. Moodle 5.0, admin/environment.xml.
NEEDS_MYSQL_8_4 = (5, 0)
# From this release on Moodle's session handler speaks to clusters. Moodle, config-dist.php [M].
KNOWS_CLUSTERS = (4, 5)


def check(subject: Subject) -> Findings:
    """Refuse a Moodle that would lose files or not start; warn of one without cron."""
    platform = subject.settings.platform
    applications = sound_figures(platform.fleets, lambda fleet: fleet.application)
    nodes = {
        key: application
        for key, application in applications.items()
        if isinstance(application, MoodleApplication)
    }
    if not nodes:
        return Findings()
    problems = (
        *sound(_without_files(platform)),
        *sound(_too_old(platform, nodes)),
        *sound(_elsewhere(platform, nodes)),
    )
    return Findings(problems, tuple(sound(_warnings(nodes))))


def _without_files(platform: PlatformSettings) -> Iterator[Problem]:
    if platform.files is None:
        yield Problem(
            f"{PLATFORM}/files",
            "is missing, and Moodle keeps there what people upload: on each instance's own disk no "
            "other instance sees it, and it is gone with the instance",
            "write files: {}",
        )


def _too_old(
    platform: PlatformSettings, nodes: Mapping[str, MoodleApplication]
) -> Iterator[Problem]:
    database = platform.database
    too_old = database.engine == "aurora-mysql" and _numbers(database.major_version) < (8, 4)
    sharded = platform.cache is not None and platform.cache.cluster_mode
    for key, moodle in nodes.items():
        if sharded and _numbers(moodle.version)[:2] < KNOWS_CLUSTERS:
            yield Problem(
                f"{PLATFORM}/{key}/application/version",
                f"Moodle {moodle.version} keeps sessions in a single server, and the cache is a "
                f"cluster ({PLATFORM}/cache/cluster_mode): most people could not sign in",
                "take a version 4.5 or newer, or write cluster_mode: false",
            )
        if too_old and _numbers(moodle.version)[:2] >= NEEDS_MYSQL_8_4:
            yield Problem(
                f"{PLATFORM}/{key}/application/version",
                f"Moodle {moodle.version} wants MySQL 8.4, and {database.engine} "
                f"{database.major_version} is older: it does not start",
                f"write {PLATFORM}/database/engine: aurora-postgresql, or a version 4.5",
            )


def _elsewhere(
    platform: PlatformSettings, nodes: Mapping[str, MoodleApplication]
) -> Iterator[Problem]:
    """Moodle sends whoever comes by another name to its own, which must lead here."""
    names = platform.names
    for key, moodle in nodes.items():
        if moodle.host is not None and not covered(moodle.host, names):
            yield Problem(
                f"{PLATFORM}/{key}/application/host",
                f"{moodle.host} is no name of this site ({', '.join(names)}), and Moodle sends "
                "everybody there",
                "write one of these, or add it to the tier's hosts",
            )


def _warnings(nodes: Mapping[str, MoodleApplication]) -> Iterator[str]:
    if not any(key.startswith("workers") for key in nodes):
        yield (
            f"Moodle's cron runs nowhere: no workers run Moodle, so that nobody gets mail and no "
            f"course is backed up; write {PLATFORM}/workers with the same application"
        )
    versions = {moodle.version: key for key, moodle in nodes.items()}
    if len(versions) > 1:
        found = ", ".join(f"{version} ({key})" for version, key in sorted(versions.items()))
        yield (
            f"several versions of Moodle are to run on one database: {found}; all but the newest "
            "would ask for an upgrade that there was; give them one"
        )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
