"""Runs the Pulumi program through the Automation API: preview, up, drift, destroy, outputs.

The program runs inline: the same infra/__main__.py that `pulumi preview` runs. Local stacks live in
a generated project under .firstbell/, AWS stacks in the project itself. No Click and no terminal.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import psutil
from pulumi import automation
from pulumi.automation import events
from semver import VersionInfo

from cli import policy, program, recovery
from cli.engine import Engine, find_or_build
from cli.localcloud import project, server
from cli.localcloud.plugin import Plugin
from cli.localcloud.server import LocalCloud
from cli.render import BEGUN, NOTHING_CHANGED, Urgent
from infra import paths, yaml_file
from infra.errors import FirstbellError, InputError
from infra.policy.base import Resource
from infra.settings.stack import StackSettings, read_stack, stack_file

PROJECT: Final = "firstbell"
Progress = Callable[[str], None]
Returned = TypeVar("Returned")

# A traceback's frames as the language host prints them: file lines, and the code under them.
FRAME: Final = re.compile(r"^\s*(Traceback \(most recent|File \".*\", line|\^+\s*$)")
_STACK: Final = "pulumi:pulumi:Stack"
# Operations of the engine that change nothing in the cloud.
UNCHANGED: Final = frozenset({"same", "read", "refresh", "read-discard"})


@dataclass(frozen=True)
class PropertyChange:
    """One property that differs; values of secrets are never kept."""

    path: str
    kind: str


@dataclass(frozen=True)
class Change:
    """What the engine does, or would do, to one resource."""

    operation: str
    urn: str
    type: str
    name: str
    properties: tuple[PropertyChange, ...] = ()
    before: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)
    after: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)

    def to_json(self) -> dict[str, object]:
        return {
            "operation": self.operation,
            "urn": self.urn,
            "type": self.type,
            "name": self.name,
            "properties": [{"path": p.path, "kind": p.kind} for p in self.properties],
        }


@dataclass(frozen=True)
class Outcome:
    """What one run of the engine did to the resources, changes only, and how many stayed."""

    changes: tuple[Change, ...]
    unchanged: int
    new_outputs: bool = False
    """Whether the stack's own outputs change, if nothing else."""

    @property
    def nothing(self) -> bool:
        """Whether the engine has, or had, nothing to do."""
        return not self.changes and not self.new_outputs

    def counts(self) -> dict[str, int]:
        """Resources by operation, `same` included."""
        counted: dict[str, int] = {}
        for change in self.changes:
            counted[change.operation] = counted.get(change.operation, 0) + 1
        return counted | ({"same": self.unchanged} if self.unchanged else {})


@dataclass(frozen=True)
class Planned:
    """What a preview found: the changes, and every resource as it would be."""

    outcome: Outcome
    resources: tuple[Resource, ...]


class EngineError(FirstbellError):
    """The engine failed; its own diagnostics are in `why`."""


class _Recorder:
    """Collects the engine's events, and tells the progress."""

    def __init__(self, progress: Progress, *, refreshing: bool = False) -> None:
        self._progress = progress
        self._refreshing = refreshing
        self._read: set[str] = set()
        self._changes: dict[tuple[str, str], Change] = {}
        self._same: set[str] = set()
        self._done = 0
        self._new_outputs = False
        self.inputs: dict[str, Mapping[str, Any]] = {}
        """What each resource is to be, by URN."""
        self.errors: list[str] = []

    def __call__(self, event: events.EngineEvent) -> None:
        if event.resource_pre_event is not None:
            metadata = event.resource_pre_event.metadata
            if metadata.op.value == "refresh":
                self._read.add(metadata.urn)
            else:
                self._read.discard(metadata.urn)
                self._remember(metadata)
            self._record(metadata)
        elif event.res_outputs_event is not None:
            self._done += 1
            metadata = event.res_outputs_event.metadata
            if metadata.type == _STACK and metadata.new is not None:
                before = metadata.old.outputs if metadata.old else None
                self._new_outputs = before != metadata.new.outputs
            # What a refresh has found is news only where refreshing is all that was asked for:
            # elsewhere the steps that follow say what becomes of it.
            if self._refreshing or metadata.urn not in self._read:
                self._record(metadata)
            name = metadata.urn.rsplit("::", 1)[-1]
            self._progress(f"{self._done} resources, {metadata.op.value} {name}")
        elif event.diagnostic_event is not None and event.diagnostic_event.severity == "error":
            text = event.diagnostic_event.message.strip()
            resource = (event.diagnostic_event.urn or "").rsplit("::", 1)[-1]
            if text and "update failed" not in text:
                named = not resource or text.startswith(resource)
                self.errors.append(text if named else f"{resource}: {text}")

    def _remember(self, metadata: events.StepEventMetadata) -> None:
        if metadata.new is None or metadata.op.value.startswith("delete"):
            return
        self.inputs[metadata.urn] = metadata.new.inputs or {}

    def _record(self, metadata: events.StepEventMetadata) -> None:
        operation = metadata.op.value
        if metadata.type == _STACK or metadata.type.startswith("pulumi:providers:"):
            return
        if operation in UNCHANGED:
            self._same.add(metadata.urn)
            return
        detailed = metadata.detailed_diff or {}
        self._changes[(metadata.urn, operation)] = Change(
            operation=operation,
            urn=metadata.urn,
            type=metadata.type,
            name=metadata.urn.rsplit("::", 1)[-1],
            properties=tuple(
                PropertyChange(path, str(diff.diff_kind.value))
                for path, diff in sorted(detailed.items())
            ),
            before=(metadata.old.outputs or {}) if metadata.old else {},
            after=(metadata.new.outputs or {}) if metadata.new else {},
        )

    def outcome(self) -> Outcome:
        changed = {urn for urn, _ in self._changes}
        unchanged = len(self._same - changed)
        return Outcome(tuple(self._changes.values()), unchanged, self._new_outputs)


class _Command(automation.PulumiCommand):
    """The engine's command, which the Automation API need not ask for its version again."""

    def __init__(self, engine: Engine) -> None:
        # Not the base class's: it runs `pulumi version`, a fifth of a second each time.
        self.command = str(engine.binary)
        self.version = VersionInfo.parse(engine.version)


@dataclass(frozen=True)
class OpenStack:
    """A stack that the engine can work on."""

    settings: StackSettings
    engine: Engine
    local: LocalCloud | None
    work_dir: Path
    environment: Mapping[str, str]
    _exported: list[list[dict[str, Any]]] = field(default_factory=list[list[dict[str, Any]]])
    """The state's resources, once they were asked for, until something changes them."""

    @property
    def name(self) -> str:
        return self.settings.stack

    def client(self, service: str, region: str | None = None) -> Any:
        """A boto3 client for the stack's cloud and Region, or another one."""
        import boto3

        where = region or self.settings.region
        if self.local is not None:
            return self.local.client(service, where)
        return boto3.client(service, region_name=where)  # pyright: ignore[reportCallIssue, reportArgumentType] (any service)

    def _options(self) -> automation.LocalWorkspaceOptions:
        secrets_provider = "passphrase" if self.local else _secrets_provider(self.name)
        return automation.LocalWorkspaceOptions(
            work_dir=str(self.work_dir),
            env_vars=dict(self.environment),
            secrets_provider=secrets_provider,
            pulumi_command=_Command(self.engine),
        )

    @cached_property
    def _stack(self) -> automation.Stack:
        return automation.create_or_select_stack(
            stack_name=self.name, project_name=PROJECT, program=program.run, opts=self._options()
        )

    @cached_property
    def _plugin(self) -> Plugin | None:
        if self.local is None:
            return None
        return Plugin(self.environment, paths.local_cloud() / "provider.log")

    def load(self) -> None:
        """Begin to load what `preview` and `up` need, beside whatever else goes on."""
        program.load()
        if self.local is not None:
            self.local.load(self.settings.region)
        _ = self._plugin

    def _existing(self) -> automation.Stack | None:
        """The stack, unless nobody has applied it yet: looking creates nothing."""
        try:
            return automation.select_stack(
                stack_name=self.name,
                project_name=PROJECT,
                program=program.run,
                opts=self._options(),
            )
        except automation.StackNotFoundError:
            return None

    def preview(self, progress: Progress) -> Planned:
        """What `up` would change, and what the resources would be.

        Raises:
            EngineError: the engine failed.
        """
        recorder = _Recorder(progress)
        program.load()
        # A plan can hold secrets: it is read and gone.
        with tempfile.TemporaryDirectory(prefix="firstbell-") as folder:
            plan = Path(folder) / "plan.json"
            outcome = self._run(
                progress,
                lambda stack, seen: stack.preview(plan=str(plan), **_quiet(seen)),
                recorder=recorder,
                left=NOTHING_CHANGED,
            )
            saved: dict[str, Any] = json.loads(plan.read_text())
        return Planned(outcome, policy.planned(recorder.inputs, saved))

    def up(self, progress: Progress) -> Outcome:
        """Create, update and delete until the cloud is as the program says.

        Raises:
            EngineError: the engine failed; what it had done stays and is in the state.
        """
        return self._run(progress, lambda stack, seen: stack.up(show_secrets=False, **_quiet(seen)))

    def compare(self, progress: Progress) -> Outcome:
        """How the cloud differs from the state; changes neither.

        Raises:
            EngineError: the engine failed.
        """
        return self._run(
            progress,
            lambda stack, seen: stack.preview_refresh(show_secrets=False, **_quiet(seen)),
            refreshing=True,
            left=NOTHING_CHANGED,
        )

    def destroy(self, progress: Progress) -> Outcome:
        """Delete every resource of the stack; the stack itself stays, empty.

        Raises:
            EngineError: the engine failed.
        """
        return self._run(
            progress, lambda stack, seen: stack.destroy(show_secrets=False, **_quiet(seen))
        )

    def recover(self, progress: Progress) -> recovery.Recovery:
        """Put right what a killed run has left behind: its lock, and what it was creating.

        Raises:
            FirstbellError: somebody else is working on the stack.
        """
        back_end = self.environment.get("PULUMI_BACKEND_URL") or os.environ["PULUMI_BACKEND_URL"]
        self._exported.clear()
        return _engine_errors(
            lambda: recovery.recover(self._stack, back_end, self.client, progress), []
        )

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs, none before its first `up`; secrets are shown as `[secret]`."""
        stack = _engine_errors(self._existing, [])
        if stack is None:
            return {}
        found = _engine_errors(stack.outputs, [])
        return {
            name: "[secret]" if output.secret else output.value for name, output in found.items()
        }

    def resources(self) -> list[dict[str, Any]]:
        """The resources in the state, as the engine records them."""
        if not self._exported:
            deployment = _engine_errors(self._stack.export_stack, []).deployment or {}
            self._exported.append(list(deployment.get("resources") or []))
        return self._exported[0]

    def forget(self) -> None:
        """Remove the empty stack from the back end; its file under stacks/ stays."""
        _engine_errors(
            lambda: self._stack.workspace.remove_stack(self.name, preserve_config=True), []
        )

    def _run(
        self,
        progress: Progress,
        operation: Callable[[automation.Stack, _Recorder], object],
        *,
        refreshing: bool = False,
        recorder: _Recorder | None = None,
        left: str = BEGUN,
    ) -> Outcome:
        recorder = recorder or _Recorder(progress, refreshing=refreshing)
        serving = self._plugin  # starts, while the stack is looked for
        stack = self._stack
        if serving is not None:
            before = dict(stack.workspace.env_vars)
            stack.workspace.env_vars = before | serving.variables()
        with program.silent_debug_log():
            _interruptible(
                lambda: _engine_errors(lambda: operation(stack, recorder), recorder.errors),
                progress,
                left,
            )
        outcome = recorder.outcome()
        if outcome.changes:
            self._exported.clear()
        return outcome


def open_stack(
    name: str,
    progress: Progress,
    *,
    cloud: Literal["local"] | None = None,
    before: Callable[[StackSettings], object] | None = None,
) -> OpenStack:
    """Read a stack's settings and make its cloud reachable; starts the local cloud if need be.

    `before` is given the settings before anything is started: what it raises stops everything.

    Raises:
        InputError: the stack does not exist, its file is wrong, or its cloud may not be touched.
    """
    settings = read_stack(name, cloud=cloud)
    if before is not None:
        before(settings)
    engine = find_or_build(progress)
    if settings.cloud == "local":
        work_dir = project.prepare(name)
        local = server.ensure_started()
        server.check_generation(name, local)
        return OpenStack(settings, engine, local, work_dir, project.environment(local))
    _check_account(settings)
    if not os.environ.get("PULUMI_BACKEND_URL"):
        raise InputError(
            "nothing says where the state of an AWS stack is kept",
            where="PULUMI_BACKEND_URL",
            fix="export PULUMI_BACKEND_URL='s3://BUCKET?region=REGION'",
        )
    return OpenStack(settings, engine, None, paths.PROJECT_ROOT, {})


def _check_account(settings: StackSettings) -> None:
    import boto3
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        ConnectionError,
        HTTPClientError,
    )

    try:
        account = boto3.client("sts", region_name=settings.region).get_caller_identity()["Account"]
    except (ConnectionError, HTTPClientError) as error:
        raise InputError(
            f"AWS cannot be reached: {error}",
            where=f"stack {settings.stack}",
            fix="look at the network and its proxy, or try the stack offline with --cloud local",
        ) from error
    except (BotoCoreError, ClientError) as error:
        raise InputError(
            f"AWS does not know who you are: {error}",
            where=f"stack {settings.stack}",
            fix="sign in (aws sso login), or try the stack offline with --cloud local",
        ) from error
    if account not in settings.allowed_account_ids:
        raise InputError(
            f"the credentials are of account {account}",
            where=f"stacks/Pulumi.{settings.stack}.yaml: aws:allowedAccountIds",
            why=f"this stack may only go to {', '.join(settings.allowed_account_ids)}",
            fix="change AWS_PROFILE, or add the account to the list",
        )


def _secrets_provider(stack: str) -> str:
    document = yaml_file.read(stack_file(stack))
    provider = document.get("secretsprovider") if isinstance(document, dict) else None
    if not isinstance(provider, str) or not provider.startswith("awskms://"):
        raise InputError(
            "an AWS stack keeps its secrets with a KMS key",
            where=f"stacks/Pulumi.{stack}.yaml: secretsprovider",
            fix="add the line secretsprovider: awskms://alias/NAME?region=REGION",
        )
    return provider


def _quiet(recorder: _Recorder) -> dict[str, Any]:
    return {"on_event": recorder, "color": "never", "suppress_outputs": True}


def _engine_errors(operation: Callable[[], Returned], diagnostics: list[str]) -> Returned:
    """Run an operation of the Automation API; turn its errors into ours."""
    try:
        return operation()
    except automation.ConcurrentUpdateError as error:
        raise EngineError(
            "somebody else is working on this stack",
            why=_last_lines(str(error)),
            fix="wait for them; if that process is dead, run the command again on the same host",
        ) from error
    except automation.CommandError as error:
        raise EngineError(
            "the engine failed",
            why=_last_lines("\n".join(dict.fromkeys(diagnostics))) or _last_lines(str(error)),
            fix="mend the cause and run the command again: what was done is kept",
        ) from error


def _last_lines(text: str, count: int = 12) -> str:
    """The end of what the engine said, without the frames of a Python traceback."""
    lines = [line for line in text.splitlines() if line.strip() and not FRAME.match(line)]
    return "\n  ".join(lines[-count:])


def _interruptible(operation: Callable[[], object], progress: Progress, left: str) -> None:
    """Run an operation so that Ctrl-C lets the engine finish what it has begun.

    `left` says in what state that leaves things. The engine writes its state and gives back its
    lock when it is asked to stop. A terminal sends Ctrl-C to it as well as to us; a signal to this
    process alone has to be passed on.
    """
    failure: list[BaseException] = []

    def run() -> None:
        # The Automation API needs an event loop in the thread it is called from.
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        try:
            operation()
        except BaseException as error:
            failure.append(error)
        finally:
            loop.close()

    worker = threading.Thread(target=run, daemon=True)
    worker.start()
    interrupted = False
    while worker.is_alive():
        try:
            worker.join(0.2)
        except KeyboardInterrupt:
            if interrupted:
                raise KeyboardInterrupt(
                    "the engine was left behind; once it has ended, run the same command: it puts "
                    "right what was under way"
                ) from None
            interrupted = True
            progress(Urgent("stopping after what is under way; Ctrl-C again leaves it behind"))
            if not _terminal_signals_everyone():
                for process in _engine_processes():
                    process.send_signal(signal.SIGINT)
    if interrupted:
        raise KeyboardInterrupt(left)
    if failure:
        raise failure[0]


def _terminal_signals_everyone() -> bool:
    """Whether we are in the foreground of a terminal, whose Ctrl-C reaches the engine as well."""
    try:
        return sys.stdin.isatty() and os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except OSError:
        return False


def _engine_processes() -> Iterator[psutil.Process]:
    return (
        child
        for child in psutil.Process().children()
        if child.is_running() and child.name().startswith("pulumi")
    )
