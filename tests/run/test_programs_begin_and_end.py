"""A program runs as it would without us: its exit code, its signals, its terminal; and its session ends with it."""

import json
import os
import pty
import select
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sdk.clients import live_sessions
from tests.support.deployment import API, eventually
from tests.support.running import listen_to_interrupts

CHILD = """
import os, signal, subprocess, sys
left = subprocess.Popen([sys.executable, "-c", "import time; print('left', flush=True); time.sleep(600)"])
print(left.pid, flush=True)
"""
STUBBORN = """
import signal, sys, time
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, lambda got, _frame: print("got", got, flush=True) or (got == 2 and sys.exit(7)))
print("ready", flush=True)
while True:
    time.sleep(600)
"""


@pytest.mark.parametrize("code", [0, 1, 3, 255])
def test_the_exit_code_is_the_programs(launching, code):
    assert launching.run("sh", "-c", f"exit {code}").returncode == code
    assert live_sessions(launching.zone) == set()


def test_a_program_that_a_signal_ended_is_told_as_shells_do(launching):
    assert launching.run("sh", "-c", "kill -SEGV $$").returncode == 128 + signal.SIGSEGV


def test_what_can_not_be_run_is_told_before_anything_is_asked(launching, tmp_path):
    file = tmp_path / "text"
    file.write_text("no program")
    done = launching.run("no-such-program")
    assert (done.returncode, done.stderr) == (
        127,
        "caracal: there is no program 'no-such-program'\n",
    )
    file.chmod(0o755)
    done = launching.run(str(file))
    assert done.returncode == 126
    assert "can not be run" in done.stderr
    assert live_sessions(launching.zone) == set()


def test_input_output_and_arguments_pass(launching):
    script = "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read()); print(sys.argv[1:])"
    done = launching.python(script, "--help", "-x", "--", "ä b", stdin=bytes(range(128)))
    assert done.stdout.encode() == bytes(range(128)) + "['--help', '-x', '--', 'ä b']\n".encode()


def test_the_program_runs_in_one_session_that_ends_with_it(launching):
    with launching.waiting() as (process, environment):
        session = environment["CARACAL_RUN_SESSION_ID"]
        live = live_sessions(launching.zone)
        assert session in live
        assert len(live) == 2, "the program's, and the one that its calls are made in"
        process.stdin.close()
        assert process.wait(20) == 0
    assert live_sessions(launching.zone) == set()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_program_and_its_session(launching, number):
    with launching.waiting() as (process, _):
        process.send_signal(number)
        assert process.wait(20) == 128 + number
        assert process.stderr.read() == b""
    assert live_sessions(launching.zone) == set()


def test_the_program_decides_what_ctrl_c_means(launching):
    with launching.started(sys.executable, "-c", STUBBORN) as process:
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == b"got 2\n"
        assert process.wait(20) == 7
    assert live_sessions(launching.zone) == set()


def test_a_signal_before_the_program_starts_starts_none(launching, tmp_path):
    """While the session is being opened, with a Caracal that does not answer."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        file = tmp_path / "started"
        with launching.started("touch", str(file), CARACAL_STS_URL=url) as process:
            silent.settimeout(20)
            connection, _ = silent.accept()
            with connection:
                process.send_signal(signal.SIGTERM)
                assert process.wait(20) == 128 + signal.SIGTERM
        assert not file.exists()


def test_what_the_program_leaves_behind_is_ended(launching):
    done = launching.python(CHILD)
    assert done.returncode == 0
    left = int(done.stdout.split()[0])
    eventually(lambda: _ended(left))


def test_a_caracal_that_is_not_there_is_told_with_its_own_code(launching):
    done = launching.run("true", CARACAL_STS_URL="http://127.0.0.1:9")
    assert done.returncode == 3
    assert "the program was not started" in done.stderr
    wrong = launching.run("true", CARACAL_APP_CLIENT_SECRET="wrong-wrong-wrong")
    assert wrong.returncode == 4
    refused = launching.run("true", options=("--resource", f"{API}=no:such"))
    assert refused.returncode == 1
    assert "the program was not started" in refused.stderr


def test_the_environment_holds_nothing_of_ours_and_nothing_that_is_not_listed(launching):
    withheld = {
        "AWS_SECRET_ACCESS_KEY": "k" * 40,
        "GITHUB_TOKEN": "g" * 40,
        "NODE_OPTIONS": "--require x",
        "HTTP_PROXY": "http://elsewhere",
        "CARACAL_OPERATOR_TOKEN_FILE": "/x",
    }
    options = (
        *launching.options,
        "--pass-env",
        "TEAM_*",
        "--pass-env",
        "CARACAL_*",
        "--pass-env",
        "NODE*",
    )
    with launching.waiting(options=options, TEAM_NAME="blue", TERM="dumb", **withheld) as (
        process,
        seen,
    ):
        child = Path(f"/proc/{_child_of(process.pid)}/environ")
        if child.exists():
            assert launching.secret.encode() not in child.read_bytes()
        assert launching.secret not in json.dumps(seen)
        assert (seen["TEAM_NAME"], seen["TERM"]) == ("blue", "dumb")
        assert not set(withheld) - {"HTTP_PROXY"} & set(seen)
        ours = {name for name in seen if name.startswith("CARACAL_")}
        assert ours == {"CARACAL_RUN_SESSION_ID", "CARACAL_URL_API"}
        assert seen["HTTP_PROXY"] == seen["https_proxy"] != "http://elsewhere"
        process.stdin.close()
        process.wait(20)


def test_output_that_looks_like_a_mandate_is_redacted_in_pipes(launching):
    token = "eyJhbGciOiJub25lIn0." + "eyJzdWIiOiJ4In0" + ".c2lnbmF0dXJl"
    script = (
        "import os, sys, time\n"
        f"for each in {[*token]!r}: sys.stdout.write(each); sys.stdout.flush()\n"
        "print(' out'); print(os.environ['HTTP_PROXY'], file=sys.stderr)"
    )
    done = launching.python(script)
    assert done.stdout == "[redacted by caracal] out\n"
    assert "http://caracal:[redacted by caracal]@127.0.0.1:" in done.stderr


def test_both_outputs_in_one_place_keep_their_order(launching):
    script = "import os\nfor n in range(50): os.write(1, b'a%d\\n' % n); os.write(2, b'b%d\\n' % n)"
    command = launching.command(sys.executable, "-c", script)
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=True,
        timeout=60,
        env=launching.environment,
    )
    assert done.stdout.split() == [b"%c%d" % (which, n) for n in range(50) for which in b"ab"]


def test_a_program_whose_reader_went_away_is_told_so(launching):
    with launching.started("sh", "-c", "while echo line; do :; done") as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(30) == 128 + signal.SIGPIPE


def test_a_terminal_is_left_to_the_program(launching):
    """It has the terminal itself, Ctrl-C reaches it, and the launcher does not write over it."""
    script = (
        "import os, sys\n"
        "try:\n"
        "  print('tty', *(os.isatty(n) for n in range(3)), os.tcgetpgrp(0) == os.getpgrp(), flush=True)\n"
        "  sys.stdin.readline()\n"
        "except KeyboardInterrupt: sys.exit(9)\n"
    )
    pid, terminal = pty.fork()
    if pid == 0:
        listen_to_interrupts()
        command = launching.command(sys.executable, "-c", script)
        os.execve(command[0], command, launching.environment)
    seen = _read_until(terminal, b"\n")
    assert seen.strip() == b"tty True True True True"
    os.write(terminal, b"\x03")
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 9
    assert live_sessions(launching.zone) == set()


def test_ctrl_z_stops_both_and_both_go_on(launching):
    script = "print('ready', flush=True); print('read', input(), flush=True)"
    pid, terminal = pty.fork()
    if pid == 0:
        # A shell of its own, which controls jobs, as people have one.
        command = launching.command(sys.executable, "-c", script)
        line = shlex.join(command)
        environment = launching.environment | {
            "PS1": "shell>",
            "HISTFILE": "",
            "COMMAND_LINE": line,
        }
        os.execve("/bin/bash", ["bash", "--norc", "--noprofile", "-i"], environment)
    try:
        _read_until(terminal, b"shell>")
        os.write(terminal, b'eval "$COMMAND_LINE"\n')
        _read_until(terminal, b"ready\r\n")
        os.write(terminal, b"\x1a")
        _read_until(terminal, b"Stopped")
        os.write(terminal, b"fg\n")
        _read_until(terminal, b"caracal.run")
        os.write(terminal, b"on\n")
        _read_until(terminal, b"read on")
        _read_until(terminal, b"shell>")
    finally:
        os.write(terminal, b"exit\nexit\n")
        os.close(terminal)
        os.waitpid(pid, 0)


def test_the_launcher_hides_its_memory(launching):
    script = (
        "from caracal.run.confinement import hide\nimport ctypes, os\nhide()\n"
        "print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True, timeout=20, text=True
    )
    assert done.stdout.strip() == ("0" if sys.platform == "linux" else done.stdout.strip())


def test_it_runs_where_only_the_package_for_agents_is(launching):
    """Without typer, which that package does not bring, as well as with it."""
    without = (
        "import importlib.util, sys\n"
        "find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *rest: None if name == 'typer' else find(name, *rest)\n"
        "from caracal_server.cli import main\n"
        "main()\n"
        "assert 'typer' not in sys.modules\n"
    )
    arguments = launching.command("sh", "-c", "echo $CARACAL_URL_API")[3:]
    for start in (["-c", without], ["-m", "caracal_server.cli"]):
        done = subprocess.run(
            [sys.executable, *start, "run", *arguments],
            capture_output=True,
            check=False,
            timeout=60,
            env=launching.environment,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.endswith(b"/api\n")
    other = subprocess.run(
        [sys.executable, "-c", without, "status"], capture_output=True, check=False, timeout=60
    )
    assert other.returncode == 1
    assert b"only `caracal run` is installed" in other.stderr


def _child_of(pid: int) -> int:
    children = Path(f"/proc/{pid}/task/{pid}/children")
    return int(children.read_text().split()[0]) if children.exists() else 0


def _ended(pid: int) -> bool:
    """Whether a process is gone, or only waits for somebody to look at how it ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def _read_until(terminal: int, wanted: bytes) -> bytes:
    seen = b""
    while wanted not in seen:
        ready, _, _ = select.select([terminal], [], [], 30)
        assert ready, seen
        seen += os.read(terminal, 4096)
    return seen
