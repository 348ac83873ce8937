"""The Pulumi project of the local cloud, made from the committed one, and its environment.

Everything is written below the local cloud's folder. The stack files under `stacks/` are only read:
initialising a local stack on one with `secretsprovider: awskms` was measured to erase its key.
"""

from __future__ import annotations

import importlib.metadata
import os
import secrets
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from cli.localcloud import files
from cli.localcloud.endpoint import ENVIRONMENT_PREFIX, check_config, check_environment
from cli.localcloud.server import LOOPBACK, LocalCloud
from cli.localcloud.sessions import ACCESS_KEY, SECRET_KEY
from infra import paths
from infra.errors import FirstbellError, InputError, nearest
from infra.settings.stack import stack_file, stack_names

PROJECT: Final = "firstbell"
DUMMY_SECRET: Final = "local-dummy-secret"  # noqa: S105 (stands where a secret was)
# Ways to real accounts, and checks that only make sense there.
DROPPED_CONFIG: Final = frozenset(
    f"aws:{name}"
    for name in (
        *("allowedAccountIds", "forbiddenAccountIds", "profile", "endpoints"),
        *("accessKey", "secretKey", "token", "sharedConfigFiles", "sharedCredentialsFiles"),
        *("assumeRoles", "assumeRoleWithWebIdentity"),
    )
)
# What would win over the local cloud's own settings in a shell.
UNSET: Final = (
    *("AWS_SESSION_TOKEN", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"),
    "PULUMI_CONFIG_PASSPHRASE",
)


def folder() -> Path:
    """The generated project."""
    return paths.local_cloud() / "project"


def prepare(stack: str) -> Path:
    """Write the local project and the local copy of a stack's file; returns the project's folder.

    Raises:
        InputError: there is no such stack, its file cannot be read, or it or the environment names
            an endpoint that is not loopback.
    """
    check_environment(os.environ)
    copy = _local_copy(stack)
    project = folder()
    _write_yaml(project / "Pulumi.yaml", _project_settings())
    _write_yaml(_copy_path(stack), copy)
    return project


def environment(cloud: LocalCloud, stack: str | None = None) -> dict[str, str]:
    """What `pulumi`, `aws` and boto3 need in their environment to reach the local cloud only.

    With a stack its Region is among it.
    """
    local = paths.local_cloud()
    _place_plugin(local / "pulumi")
    (local / "state").mkdir(parents=True, exist_ok=True)
    aws_config = local / "aws-config"
    if not aws_config.exists():
        # A profile that a shell names must exist: this one does, and says nothing.
        files.write(aws_config, "[default]\n")
    variables = {
        "AWS_ENDPOINT_URL": cloud.endpoint,
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false",
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_PROFILE": "default",
        "AWS_CONFIG_FILE": str(aws_config),
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": f"{LOOPBACK},localhost",
        "no_proxy": f"{LOOPBACK},localhost",
        "FIRSTBELL_HOME": str(paths.home()),
        "FIRSTBELL_STACKS": str(paths.stacks()),
        "PULUMI_HOME": str(local / "pulumi"),
        # Without side files: a killed engine was measured to leave an empty one, and the state
        # could not be read any more. The state itself is replaced in one step.
        "PULUMI_BACKEND_URL": (local / "state").as_uri() + "?metadata=skip",
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(_passphrase_file(local)),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        # A real aws provider on PATH must not win over the embedded one.
        "PULUMI_IGNORE_AMBIENT_PLUGINS": "true",
    }
    # Another emulator's address for one service would win over the one for all.
    prefix = f"{ENVIRONMENT_PREFIX}_"
    variables |= {name: cloud.endpoint for name in os.environ if name.startswith(prefix)}
    # Set but empty is harmless for these; a process can only be given more variables, not fewer.
    variables |= {name: "" for name in UNSET if name in os.environ and name.startswith("AWS_")}
    if "PULUMI_CONFIG_PASSPHRASE" in os.environ:
        # It wins over the file even when empty, so it has to be the file's.
        variables["PULUMI_CONFIG_PASSPHRASE"] = _passphrase_file(local).read_text().strip()
    if stack is not None:
        region = _config(_read_stack_file(stack)).get("aws:region")
        if region is not None:
            variables |= {"AWS_REGION": str(region), "AWS_DEFAULT_REGION": str(region)}
    return variables


def initialise(stack: str, cloud: LocalCloud, progress: Callable[[str], None]) -> None:
    """Make the stack known to the local back end, so that plain `pulumi -s NAME` finds it.

    Raises:
        FirstbellError: the engine refused.
    """
    from cli.engine import find_or_build

    project = prepare(stack)
    if (paths.local_cloud() / "state/.pulumi/stacks" / PROJECT / f"{stack}.json").exists():
        return
    pulumi = find_or_build(progress).root / "bin/pulumi"
    run = subprocess.run(
        [pulumi, "stack", "init", stack, "--no-select", "--non-interactive", "-C", project],
        env=os.environ | environment(cloud),
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode:
        raise FirstbellError(
            f"stack {stack} cannot be initialised on the local cloud", why=run.stderr.strip()
        )


def exports(cloud: LocalCloud, stack: str | None) -> list[str]:
    """The environment as lines for `eval` in a POSIX shell."""
    variables = environment(cloud, stack)
    lines = [f"unset {' '.join(UNSET)}"]
    lines += [
        f"export {name}={shlex.quote(value)}"
        for name, value in sorted(variables.items())
        if name not in UNSET
    ]
    return lines


def _project_settings() -> dict[str, Any]:
    return {
        "name": PROJECT,
        "description": "Generated by firstbell: the project on the local cloud. Edits are lost.",
        "runtime": {
            "name": "python",
            "options": {"toolchain": "pip", "virtualenv": str(paths.PROJECT_ROOT / ".venv")},
        },
        "main": str(paths.PROJECT_ROOT / "infra"),
        "stackConfigDir": "stacks",
        "options": {"refresh": "always"},
    }


def _copy_path(stack: str) -> Path:
    return folder() / "stacks" / f"Pulumi.{stack}.yaml"


def _local_copy(stack: str) -> dict[str, Any]:
    """The stack's file as the local cloud needs it."""
    where = str(stack_file(stack))
    original = _read_stack_file(stack)
    config = _config(original)
    if "aws:endpoints" in config:
        check_config(config["aws:endpoints"], f"{where}: aws:endpoints")
    kept = {key: _without_secrets(value) for key, value in config.items()}
    kept = {key: value for key, value in kept.items() if key not in DROPPED_CONFIG}
    copy: dict[str, Any] = {"config": kept | {"firstbell:cloud": "local"}}
    # The engine's own key of the local stack; without it each run would make a new one.
    earlier = _read_yaml(_copy_path(stack)) if _copy_path(stack).exists() else {}
    if "encryptionsalt" in earlier:
        copy["encryptionsalt"] = earlier["encryptionsalt"]
    return copy


def _read_stack_file(stack: str) -> dict[str, Any]:
    path, known = stack_file(stack), stack_names()
    if stack not in known:
        close = nearest(stack, known)
        raise InputError(
            f"there is no stack {stack!r}",
            where=str(path),
            fix=f"did you mean {close!r}?"
            if close
            else f"one of: {', '.join(known) or 'none exist yet'}",
        )
    return _read_yaml(path)


def _read_yaml(path: Path) -> dict[str, Any]:
    from infra import yaml_file

    content = yaml_file.read(path)
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise InputError("is not a mapping of keys", where=str(path))
    return content


def _config(content: Mapping[str, Any]) -> dict[str, Any]:
    config = content.get("config")
    return config if isinstance(config, dict) else {}


def _without_secrets(value: Any) -> Any:
    """The value with every `{secure: ...}` in it replaced: the local cloud has not their key."""
    match value:
        case {"secure": _} if len(value) == 1:
            return DUMMY_SECRET
        case dict():
            return {key: _without_secrets(inner) for key, inner in value.items()}
        case list():
            return [_without_secrets(inner) for inner in value]
        case _:
            return value


def _write_yaml(path: Path, content: dict[str, Any]) -> None:
    """Write only what changed: an engine may be reading."""
    import yaml

    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    if not path.exists() or path.read_text() != text:
        files.write(path, text)


def _passphrase_file(local: Path) -> Path:
    path = local / "passphrase"
    if not path.exists():
        files.write(path, secrets.token_urlsafe(24) + "\n", mode=0o600)
    return path


def _place_plugin(pulumi_home: Path) -> None:
    """Put the embedded provider where only an engine with this PULUMI_HOME finds it."""
    version = importlib.metadata.version("pulumi_aws")
    launcher = pulumi_home / "plugins" / f"resource-aws-v{version}" / "pulumi-resource-aws"
    text = f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -P -m cli.localcloud.provider "$@"\n'
    if not launcher.exists() or launcher.read_text() != text:
        files.write(launcher, text, mode=0o755)
