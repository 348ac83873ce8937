"""The root command: what it promises holds for every command below it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from cli.context import Context
from cli.main import COMMANDS, root
from cli.reference import REFERENCE, commands, render
from tests.conftest import WriteStack

ALL = dict(commands(root))


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from cli.main import main; main()", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("path", ALL)
def test_every_command_has_help_with_an_example(path: str) -> None:
    assert "Example: firstbell " in ALL[path]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_root_command_shows_each_command_with_its_own_first_line(name: str) -> None:
    context = click.Context(root, obj=Context())
    command = root.get_command(context, name)
    assert command is not None
    assert command.help is not None
    assert command.help.splitlines()[0] == COMMANDS[name][1]


def test_the_reference_is_what_help_says() -> None:
    assert REFERENCE.read_text() == render(), "run python -m cli.reference"


def test_help_imports_nothing_that_is_slow() -> None:
    code = (
        "import sys; from cli.main import root; root.main(['--help'], standalone_mode=False);"
        "print({'pulumi','boto3','rich','pydantic','numpy','yaml'} & set(sys.modules))"
    )
    finished = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert finished.stdout.splitlines()[-1] == "set()"


def test_global_options_stand_before_or_after_the_command(write_stack: WriteStack) -> None:
    write_stack("tiny")
    runner = CliRunner()
    before = runner.invoke(root, ["--json", "stack", "list"], obj=Context())
    after = runner.invoke(root, ["stack", "list", "--json"], obj=Context())
    assert before.exit_code == after.exit_code == 0
    assert before.output == after.output
    assert '"stack": "tiny"' in after.output


def test_a_misspelt_command_exits_2_and_shows_no_traceback() -> None:
    finished = run("previw")
    assert finished.returncode == 2
    assert "Traceback" not in finished.stderr
    assert "No such command" in finished.stderr


def test_a_misspelt_option_is_one_document_with_json() -> None:
    finished = run("preview", "--al", "--json")
    assert finished.returncode == 2
    document = json.loads(finished.stdout)
    assert document["kind"] == "error"
    assert document["error"]["what"].startswith("No such option '--al'")


def test_a_background_job_ends_at_sigterm() -> None:
    code = (
        "import os, signal, sys\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "from cli import main\n"
        "main.root.main = lambda **_: os.kill(os.getpid(), signal.SIGTERM)\n"
        "main.main()"
    )
    finished = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert (finished.returncode, finished.stderr) == (130, "interrupted\n")


def test_an_impatient_ctrl_c_ends_without_a_traceback() -> None:
    """Python waits for its threads when a command was stopped; a second one finds it there."""
    code = (
        "import os, signal, threading, time\n"
        "from cli import main\n"
        "def stopped(**_):\n"
        "    threading.Thread(target=time.sleep, args=(30,)).start()\n"
        "    raise KeyboardInterrupt('half of it is done')\n"
        "main.root.main = stopped\n"
        "main.main()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "interrupted: half of it is done\n"
        process.send_signal(signal.SIGINT)
        assert process.stderr.read() == ""
        assert process.wait(timeout=20) == 130


def test_output_that_cannot_be_written_is_a_failure() -> None:
    with Path("/dev/full").open("w") as full:
        finished = subprocess.run(
            [sys.executable, "-c", "from cli.main import main; main()", "--version"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert finished.returncode == 1
    assert "No space left on device" in finished.stderr
    assert "Traceback" not in finished.stderr


def test_bad_input_exits_2_says_what_is_right_and_shows_no_traceback(
    write_stack: WriteStack,
) -> None:
    write_stack("tiny")
    finished = run("preview", "-s", "tinny")
    assert finished.returncode == 2
    assert "there is no stack 'tinny'" in finished.stderr
    assert "did you mean -s tiny?" in finished.stderr
    assert "Traceback" not in finished.stderr
    assert finished.stdout == ""


def test_an_error_is_one_document_with_json(write_stack: WriteStack) -> None:
    write_stack("tiny")
    finished = run("preview", "-s", "tinny", "--json")
    assert finished.returncode == 2
    document = json.loads(finished.stdout)
    assert document["kind"] == "error"
    assert document["exit_code"] == 2
    assert document["error"]["fix"] == "did you mean -s tiny?"
