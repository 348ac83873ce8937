"""`firstbell migrate init`: a migration file from flags, or from questions on a terminal."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from cli import render
from cli.context import Context, pass_context
from infra.errors import InputError

if TYPE_CHECKING:
    from cli.migration.init import Answers

_KINDS = ("moodle", "openedx", "canvas", "generic")
_ENGINES = ("postgresql", "mariadb", "oracle", "sqlserver")


@click.command("init", epilog="Example: firstbell migrate init school --kind moodle")
@click.argument("name", required=False)
@click.option(
    "--kind", type=click.Choice(_KINDS), default="generic", show_default=True,
    help="The application; its commands and smoke tests are written.",
)  # fmt: skip
@click.option(
    "--engine", type=click.Choice(_ENGINES), help="The source's database; default postgresql."
)
@click.option(
    "--config",
    type=click.Path(dir_okay=False),
    help="Moodle's config.php: database, data folder and address; never its password.",
)
@click.option("--target-stack", metavar="NAME", help="A stack that firstbell built, as the target.")
@click.option("--web", metavar="HOST", help="The source's web server, for ssh.")
@click.option("--target-web", metavar="HOST", help="The target's web server, for ssh.")
@click.option("--url", help="How users reach the site.")
@click.option("--private-url", help="How the target is reached before users are.")
@click.option(
    "--rehearsal-web", metavar="HOST", help="A web server for rehearsals, for ssh; default none."
)
@click.option("--rehearsal-url", help="How it is reached; default http://HOST.")
@click.option(
    "--files",
    multiple=True,
    metavar="FOLDER=TARGET",
    help="A tree of files; TARGET is a path or s3://BUCKET/PREFIX. Repeatable.",
)
@click.option("--window", metavar="LENGTH", help="How long users may be without the site.")
@pass_context
def init(context: Context, name: str | None, **flags: Any) -> None:
    """Write a commented migration file: from flags, or by questions on a terminal."""
    from cli.migration import init as starter
    from cli.migration import named, spec

    source = click.get_current_context().get_parameter_source
    given = {key for key in flags if source(key) is not ParameterSource.DEFAULT}
    asking = not given and sys.stdin.isatty()
    if name is None:
        if not asking:
            raise InputError(
                "the migration has no name", fix="firstbell migrate init NAME, such as school"
            )
        name = str(click.prompt("Name of the migration (slots and roles are called so)", err=True))
    spec.check_name(named.folder() / f"{name}.yaml")
    written = starter.write(name, _asked() if asking else _answers(flags))
    if context.json:
        shown: dict[str, object] = {"path": str(written.path), "variables": dict(written.variables)}
        render.emit_json("migrate-init", shown)
        return
    render.text(f"wrote {written.path}")
    for variable, example in written.variables.items():
        render.note(f"export {variable}='{example}'")
    render.note(f"then firstbell migrate preflight -m {name}")


def _answers(flags: dict[str, Any]) -> Answers:
    from cli.migration.init import Answers

    trees: list[tuple[Path, str]] = []
    for each in flags["files"]:
        source, equals, target = str(each).partition("=")
        if not (source and equals and target):
            raise InputError(
                f"{each!r} does not say where the files go",
                where="--files",
                fix="--files /srv/files=/mnt/efs/files, or =s3://BUCKET/PREFIX",
            )
        trees.append((Path(source), target))
    config = flags["config"]
    if flags["rehearsal_url"] and not flags["rehearsal_web"]:
        raise InputError(
            "where the rehearsal's application runs is not said",
            where="--rehearsal-url",
            fix="add --rehearsal-web HOST",
        )
    plain = (
        *("kind", "engine", "target_stack", "web", "target_web", "url", "private_url"),
        *("rehearsal_web", "rehearsal_url", "window"),
    )
    return Answers(
        config=Path(config) if config else None,
        files=trees,
        **{key: flags[key] for key in plain if flags[key] is not None},
    )


def _asked() -> Answers:
    """Ask only for what changes the file; Enter takes what stands in brackets."""

    def ask(question: str, default: str = "", choices: tuple[str, ...] = ()) -> str:
        kind = click.Choice(choices) if choices else str
        return str(
            click.prompt(question, default=default, type=kind, err=True, show_default=bool(default))
        ).strip()

    flags: dict[str, Any] = {"config": None, "engine": None, "files": ()}
    flags["kind"] = ask("Application", "moodle", _KINDS)
    if flags["kind"] == "moodle":
        flags["config"] = ask("Moodle's config.php (Enter: none at hand)") or None
    if flags["config"] is None:
        flags["engine"] = ask("Database of the source", "postgresql", _ENGINES)
        tree = ask("Folder of files on this runner (Enter: none)")
        if tree:
            flags["files"] = (f"{tree}={ask('Where they go', '/mnt/efs/files')}",)
    flags["target_stack"] = (
        ask("Stack of firstbell's as the target (Enter: another database)") or None
    )
    flags["web"] = ask("Web server of the source, for ssh", "web.example.org")
    flags["target_web"] = ask("Web server of the target, for ssh", "web.aws.example.org")
    flags["url"] = ask("Address that users know (Enter: from config.php, or fill in later)") or None
    flags["private_url"] = ask("Address of the target before users are there", "http://10.0.0.10")
    flags["rehearsal_web"] = ask("Web server for rehearsals, for ssh (Enter: none)") or None
    flags["rehearsal_url"] = (
        ask("Address of it", f"http://{flags['rehearsal_web']}") if flags["rehearsal_web"] else None
    )
    flags["window"] = ask("How long users may be without the site", "3h")
    return _answers(flags)
