"""What programs may touch, tried by programs that mean harm, at every level that promises to keep them out."""

import os
import shlex
import socket
import subprocess
from dataclasses import replace

import pytest

from .conftest import HIDDEN_FILES, PATH, READABLE_FOLDERS, SECRET, World


class TestHiddenFiles:
    @pytest.mark.parametrize("file", HIDDEN_FILES.values(), ids=HIDDEN_FILES)
    def test_cannot_be_read_by_any_way_around(self, closed: World, file: str) -> None:
        target = shlex.quote(str(closed.root / file))
        script = f"""
            cat {target}; cat /proc/self/root{target}; cat /proc/$PPID/root{target}; cat /proc/1/root{target}
            ln -s {target} link; cat link; ln {target} hard && cat hard; cp -l {target} copy && cat copy
            cat ../../../{shlex.quote(file)}; (exec 9< {target}; cat <&9)
            ls -R /proc/[0-9]*/cwd/ | head -100; find {shlex.quote(str(closed.root))} -name id -exec cat {{}} + ; true
        """

        finished = closed.shell(script)

        assert finished.returncode == 0
        assert SECRET not in finished.output

    @pytest.mark.parametrize("file", HIDDEN_FILES.values(), ids=HIDDEN_FILES)
    def test_cannot_be_written_moved_or_removed(self, closed: World, file: str) -> None:
        target = closed.root / file

        closed.shell(
            f"echo evil > {target}; echo evil >> {target}; rm -f {target}; mv {target} away; mv calc.py {target}; "
            f"truncate -s 0 {target}; cd {target.parent} && mkdir new; ln -s x {target.parent}/link; "
            f"ln -s {target} link; echo evil > link"
        )

        assert target.read_text() == SECRET
        assert [path.name for path in target.parent.iterdir()] == [target.name]

    def test_a_committed_link_to_a_folder_opens_nothing(self, closed: World) -> None:
        (closed.tree / "fixtures").symlink_to(closed.root / "home" / ".ssh")

        finished = closed.shell("cat fixtures/id; echo evil > fixtures/new; cd fixtures && cat id; true")

        assert SECRET not in finished.output
        assert not (closed.root / "home" / ".ssh" / "new").exists()

    def test_stay_hidden_below_a_folder_that_is_granted_and_what_is_granted_below_them_is_seen(
        self, closed: World
    ) -> None:
        home = closed.root / "home"
        reads = (*closed.reach.reads, closed.root, home / "tools")
        reach = replace(closed.reach, reads=reads, hidden=(*closed.reach.hidden, closed.root / "state" / "store.db"))

        assert (
            closed.shell(f"cat {home}/.ssh/id {closed.root}/state/store.db; true", reach=reach).output.count(SECRET)
            == 0
        )
        assert closed.shell(f"cat {home}/tools/bin/tool", reach=reach).output == SECRET


class TestReadableFolders:
    @pytest.mark.parametrize("folder", READABLE_FOLDERS.values(), ids=READABLE_FOLDERS)
    def test_can_be_read_and_not_changed(self, closed: World, folder: str) -> None:
        place = closed.root / folder
        (file,) = (path for path in place.rglob("*") if path.is_file())

        finished = closed.shell(
            f"cat {file}; echo evil > {file}; rm -f {file}; touch {place}/new; mv {place} {place}.away; "
            f"ln {file} {place}/hard; mkfifo {place}/fifo; truncate -s 0 {file}; true"
        )

        assert finished.output.startswith(SECRET)
        assert file.read_text() == SECRET
        assert [path for path in place.rglob("*") if path.is_file()] == [file]

    def test_keep_their_modes_and_times(self, full: World) -> None:
        """Only mounts can do that; landlock knows neither."""
        file = full.root / READABLE_FOLDERS["the layer"] / "bin" / "tool"
        before = file.stat()

        full.shell(f"chmod 777 {file}; touch -d 2001-01-01 {file}; chmod 777 {file.parent}; true")

        assert (file.stat().st_mode, file.stat().st_mtime_ns) == (before.st_mode, before.st_mtime_ns)


class TestOtherProcesses:
    def test_do_not_show_their_environment(self, closed: World, monkeypatch: pytest.MonkeyPatch) -> None:
        program = ["sh", "-c", "echo; exec sleep 60"]
        other = subprocess.Popen(program, env={"TOKEN": SECRET, "PATH": PATH}, stdout=subprocess.PIPE)
        with other:
            assert other.stdout is not None
            other.stdout.readline()
            finished = closed.shell("cat /proc/[0-9]*/environ | tr '\\0' '\\n'; true")
            other.kill()

        assert finished.output.count("TMPDIR=") >= 1, "it did see environments"
        assert SECRET not in finished.output

    def test_cannot_be_signalled_or_traced(self, closed: World) -> None:
        attack = """
            import ctypes, os, signal, sys
            runner = int(sys.argv[1])
            ATTACH = 16
            traced = ctypes.CDLL(None).ptrace(ATTACH, runner, 0, 0)
            try:
                os.kill(runner, signal.SIGUSR1)
                signalled = True
            except OSError:
                signalled = False
            try:
                with open(f"/proc/{runner}/mem", "rb"):
                    opened = True
            except OSError:
                opened = False
            print(traced, signalled, opened)
        """
        with subprocess.Popen(["sleep", "60"]) as other:
            finished = closed.python(attack, str(other.pid))
            ended = other.poll()
            other.kill()

        assert finished.output == "-1 False False\n"
        assert ended is None

    def test_are_not_even_listed(self, full: World) -> None:
        assert len(full.shell("ls -d /proc/[0-9]*").output.splitlines()) <= 4

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root has any to lose")
    def test_lend_no_capabilities(self, closed: World) -> None:
        finished = closed.shell("grep -E 'Cap(Eff|Prm|Amb|Inh)' /proc/self/status; mknod device b 8 0 || echo refused")

        assert finished.output.count("0000000000000000") == 4
        assert finished.output.endswith("refused\n")


class TestNetwork:
    CONNECT = "import socket, sys; socket.create_connection(('127.0.0.1', int(sys.argv[1])), timeout=2); print('in')"

    def test_is_out_of_reach_unless_granted(self, full: World) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = str(server.getsockname()[1])
            without = full.python(self.CONNECT, port)
            granted = full.python(self.CONNECT, port, reach=replace(full.reach, network=True))

        assert "ConnectionRefusedError" in without.output
        assert granted.output == "in\n"

    def test_sockets_with_abstract_names_are_out_of_reach(self, closed: World) -> None:
        code = "import socket, sys; socket.socket(socket.AF_UNIX).connect('\\0' + sys.argv[1])"
        name = f"gatewright-test-{os.getpid()}"
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(f"\0{name}")
            server.listen()
            finished = closed.python(code, name)

        assert "Error" in finished.output

    def test_the_own_loopback_works(self, world: World) -> None:
        code = """
            import socket
            for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_UNIX, "sock")):
                with socket.socket(family) as server:
                    server.bind((host, 0) if family == socket.AF_INET else host)
                    server.listen()
                    with socket.socket(family) as client:
                        client.connect(server.getsockname())
            print(socket.getaddrinfo("localhost", 80, socket.AF_INET)[0][4][0])
        """

        assert world.python(code).output == "127.0.0.1\n"
