"""Rules of the repository: the lock, the engine's pins, import boundaries, names, secrets, make."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from infra.paths import PROJECT_ROOT

ENGINE = PROJECT_ROOT / "cli" / "engine"


def tracked(*patterns: str) -> list[Path]:
    """The files that git knows and that are there."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", *patterns],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return [path for name in listed.split("\0") if name and (path := PROJECT_ROOT / name).is_file()]


# --- dependencies --------------------------------------------------------------------------------


def problems_with_lock(lock: str) -> list[str]:
    """Lines that name an index or a host, and requirements without exact version or hash."""
    found = [
        f"line {number}: {line.strip()}"
        for number, line in enumerate(lock.splitlines(), 1)
        if re.match(r"\s*--?(i|index|extra-index|find-links|trusted-host|f)\b", line)
        or "://" in line
    ]
    for entry in re.split(r"\n(?=\S)", lock):
        if entry.startswith("#") or not entry.strip():
            continue
        name = entry.split()[0]
        if "==" not in name or "--hash=sha256:" not in entry:
            found.append(f"{name}: not pinned with a hash")
    return found


def test_the_lock_pins_every_package_with_hashes_and_names_no_index() -> None:
    assert problems_with_lock((PROJECT_ROOT / "requirements.lock").read_text()) == []


@pytest.mark.parametrize(
    "bad",
    [
        "--index-url https://pypi.example/simple\n",
        "--extra-index-url https://pypi.example/simple\n",
        "--find-links wheels\n",
        "a @ https://example.org/a.whl --hash=sha256:00\n",
        "rich>=15 \\\n    --hash=sha256:00\n",
        "rich==15.0.0\n    # via firstbell\n",
    ],
)
def test_a_lock_with_an_index_or_without_a_pin_is_caught(bad: str) -> None:
    good = "rich==15.0.0 \\\n    --hash=sha256:00\n    # via firstbell\n"
    assert problems_with_lock(good) == []
    assert problems_with_lock(good + bad) != []


def test_the_lock_satisfies_every_dependency_that_the_project_names() -> None:
    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())["project"]
    lock = (PROJECT_ROOT / "requirements.lock").read_text()
    pinned = {
        canonicalize_name(name): version
        for name, version in re.findall(r"^([\w.-]+)(?:\[.*\])?==(\S+)", lock, re.MULTILINE)
    }
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    for requirement in map(Requirement, wanted):
        version = pinned.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement} is not in the lock"
        assert requirement.specifier.contains(version, prereleases=True), str(requirement)


def unpinned(go_mod: str, go_sum: str) -> list[str]:
    """Modules that go.mod requires without a checksum of their go.mod file in go.sum."""
    required = re.findall(r"^\t(?:require )?(\S+) (v\S+)", go_mod, re.MULTILINE)
    sums = {tuple(line.split()[:2]) for line in go_sum.splitlines()}
    return [
        f"{path} {version}" for path, version in required if (path, f"{version}/go.mod") not in sums
    ]


def test_go_sum_pins_every_module_of_the_engine() -> None:
    go_mod, go_sum = (ENGINE / "go.mod").read_text(), (ENGINE / "go.sum").read_text()
    assert len(re.findall(r"^\t\S+ v", go_mod, re.MULTILINE)) > 200
    assert unpinned(go_mod, go_sum) == []
    assert "replace " not in go_mod
    missing = re.sub(r"^github.com/pulumi/pulumi/pkg/v3 .*\n", "", go_sum, flags=re.MULTILINE)
    assert len(unpinned(go_mod, missing)) == 1


# --- import boundaries ---------------------------------------------------------------------------

FORBIDDEN = {
    "infra.season": ("pulumi", "pulumi_aws", "boto3", "botocore", "click"),
    "infra.errors": ("pulumi", "boto3", "click", "rich"),
    "infra.checks": ("pulumi", "pulumi_aws", "boto3", "botocore", "click"),
    "cli.engine": ("click",),
    "cli.migration": ("click",),
}
# Prints the forbidden top-level modules that came in with a package and all that is below it.
PROBE = """
import importlib, pkgutil, sys
name, *forbidden = sys.argv[1:]
package = importlib.import_module(name)
below = pkgutil.walk_packages(getattr(package, "__path__", []), f"{name}.")
for module in [each.name for each in below]:
    if not module.endswith("__main__"):
        importlib.import_module(module)
print(*[module for module in forbidden if module in sys.modules])
"""


def crossed(package: str, forbidden: Iterable[str], root: Path) -> list[str]:
    """Forbidden modules that a fresh interpreter loads with a package."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, package, *forbidden],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize("package", sorted(FORBIDDEN))
def test_what_must_stay_pure_stays_pure(package: str) -> None:
    if not tracked(f"{package.replace('.', '/')}*"):
        pytest.skip(f"{package} is yet to come")
    assert crossed(package, FORBIDDEN[package], PROJECT_ROOT) == []


def test_a_forbidden_import_is_caught_wherever_below_the_package_it_stands(tmp_path: Path) -> None:
    (tmp_path / "pure" / "deep").mkdir(parents=True)
    (tmp_path / "pure" / "__init__.py").touch()
    (tmp_path / "pure" / "deep" / "__init__.py").touch()
    (tmp_path / "pure" / "deep" / "leaf.py").write_text("import click\n")
    assert crossed("pure", ["boto3", "click"], tmp_path) == ["click"]


def imports(source: str) -> set[str]:
    """Top-level names of the modules that a source file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


def test_only_render_knows_rich() -> None:
    assert "rich" in imports((PROJECT_ROOT / "cli" / "render.py").read_text())
    users = [
        path.name
        for path in tracked("infra/*.py", "cli/*.py")
        if "rich" in imports(path.read_text())
    ]
    assert users == ["render.py"]


def test_the_second_evaluator_imports_nothing_of_the_planner() -> None:
    files = tracked("tests/evaluator/*.py")
    assert files
    for path in files:
        lines = [
            line for line in path.read_text().splitlines() if re.search(r"infra[./]season", line)
        ]
        found = [line for line in lines if re.match(r"\s*(from|import)\b", line)]
        # Its own tests may drive the planner to have something to judge.
        assert path.name.startswith("test_") or found == [], path


# --- names and contents --------------------------------------------------------------------------


def uncollected(name: str, source: str) -> bool:
    """Whether a file under tests/ holds tests that pytest would never collect."""
    return not Path(name).name.startswith("test_") and bool(
        re.search(r"^(async )?def test_", source, re.MULTILINE)
    )


def test_every_file_with_tests_is_one_that_pytest_collects() -> None:
    assert uncollected("replay.py", "def test_it() -> None: ...\n")
    assert not uncollected("test_replay.py", "def test_it() -> None: ...\n")
    assert [
        path for path in tracked("tests/*.py") if uncollected(path.name, path.read_text())
    ] == []


def test_no_module_is_a_drawer_for_everything_or_shadows_the_standard_library() -> None:
    shadowing = sys.stdlib_module_names - {"calendar", "schedule"}
    for path in tracked("infra/*.py", "cli/*.py"):
        assert path.stem not in {"utils", "util", "helpers", "common"}, path
        # Scripts run with infra/ first on the path, so only the names directly in it can shadow.
        assert path.parent != PROJECT_ROOT / "infra" or path.stem not in shadowing, path


SECRETS = {
    "an AWS access key": r"\b(AKIA|ASIA)[A-Z0-9]{16}\b",
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
    "a GitHub token": r"\bgh[pousr]_[A-Za-z0-9]{36}\b",
    # Not the capitals of a placeholder: USER:PASSWORD@HOST.
    "a password in a URL": r"\b[a-z]+://(?![A-Z]+:[A-Z]+@)[^\s/:@{}$<>'\"]+:[^\s/:@{}$<>'\"*]{6,}@",
}


def secrets_in(text: str) -> list[str]:
    """Kinds of secrets that a text holds."""
    return [kind for kind, pattern in SECRETS.items() if re.search(pattern, text)]


def test_no_tracked_file_holds_a_secret() -> None:
    for path in tracked():
        assert secrets_in(path.read_text(errors="ignore")) == [], path


@pytest.mark.parametrize(
    "secret",
    [
        "AKIA" + "Z" * 16,
        "-----BEGIN RSA " + "PRIVATE KEY-----",
        "ghp_" + "a" * 36,
        "postgresql://moodle:" + "correcthorse@db.example.org/lms",
    ],
)
def test_a_secret_is_recognised(secret: str) -> None:
    assert len(secrets_in(f"x = '{secret}'")) == 1


def test_no_tracked_file_is_large() -> None:
    assert [path.name for path in tracked() if path.stat().st_size > 1_000_000] == []


# --- make ----------------------------------------------------------------------------------------


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the project's Makefile in another folder."""
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(PROJECT_ROOT / name, folder)
    return subprocess.run(
        ["make", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )


def test_clean_removes_what_make_made_and_never_touches_firstbell(tmp_path: Path) -> None:
    journal = tmp_path / ".firstbell" / "migrations" / "lms" / "journal.db"
    made = [tmp_path / ".venv" / "bin" / "python", tmp_path / "cli" / "__pycache__" / "a.pyc"]
    for path in [journal, *made]:
        path.parent.mkdir(parents=True)
        path.write_text("content")
    assert make(tmp_path, "clean").returncode == 0
    assert journal.read_text() == "content"
    assert not any(path.exists() for path in made)


def test_without_a_python_that_is_new_enough_set_up_says_what_to_install(tmp_path: Path) -> None:
    done = make(tmp_path, "setup", "PYTHON=")
    assert done.returncode != 0
    assert "Python 3.11 or newer is needed" in done.stderr
    assert "apt-get install python3" in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_without_the_venv_module_set_up_names_the_debian_package(tmp_path: Path) -> None:
    bare = tmp_path / "python-without-venv"
    bare.write_text("#!/bin/sh\nexit 1\n")
    bare.chmod(0o755)
    done = make(tmp_path, "setup", f"PYTHON={bare}")
    assert done.returncode != 0
    assert "apt-get install python3-venv" in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_an_interrupted_set_up_is_begun_afresh_and_a_finished_one_is_reused(tmp_path: Path) -> None:
    """A pip that only notes its arguments stands in for the installation, which takes a minute."""
    fake = tmp_path / "python"
    fake.write_text(
        textwrap.dedent(f"""\
        #!/bin/sh
        echo "$@" >> {tmp_path}/calls
        case "$*" in
          *"-m venv"*) mkdir -p .venv/bin && cp {fake} .venv/bin/python ;;
          *--require-hashes*) [ ! -e {tmp_path}/broken ] ;;
        esac
        """)
    )
    fake.chmod(0o755)
    (tmp_path / "broken").touch()
    assert make(tmp_path, "setup", f"PYTHON={fake}").returncode != 0
    assert (tmp_path / ".venv" / "unfinished").exists()
    assert not list((tmp_path / ".venv").glob("installed-*"))
    (tmp_path / ".venv" / "half a package").touch()

    (tmp_path / "broken").unlink()
    (tmp_path / "calls").unlink()
    assert make(tmp_path, "setup", f"PYTHON={fake}").returncode == 0
    assert not (tmp_path / ".venv" / "half a package").exists()
    assert not (tmp_path / ".venv" / "unfinished").exists()
    assert len(list((tmp_path / ".venv").glob("installed-*"))) == 1

    (tmp_path / "calls").unlink()
    assert make(tmp_path, "setup", f"PYTHON={fake}").returncode == 0
    expected = ["-m compileall -q infra cli", "-m cli.engine", ""]
    assert (tmp_path / "calls").read_text().split("\n") == expected
