"""What a reach grants and hides, what is readable by default, and the profile that macOS reads."""

import os
from pathlib import Path

import pytest

from gatewright.gates.isolation.bubblewrap import Bubblewrap
from gatewright.gates.isolation.installations import default_reads, hidden_places, paths_in
from gatewright.gates.isolation.reach import Access, Reach, outermost, spread
from gatewright.gates.isolation.seatbelt import PROGRAM, Seatbelt, profile

PYTHON = Path("/usr/bin/python3")


def reach(reads: str, *, writes: str = "", hidden: str = "", temporary: str = "/t", network: bool = False) -> Reach:
    def paths(text: str) -> tuple[Path, ...]:
        return tuple(map(Path, text.split()))

    return Reach(paths(reads), paths(writes), paths(hidden), Path(temporary), network)


class TestReach:
    def test_grants_each_path_once(self) -> None:
        assert reach("/usr /usr/lib /usr/lib/x /usr-local /opt").readable == tuple(
            map(Path, ("/opt", "/usr", "/usr-local"))
        )

    def test_a_path_below_a_writable_one_is_writable(self) -> None:
        granted = reach("/usr /work/tree/src", writes="/work/tree /work/tree/sub /run")

        assert granted.readable == (Path("/usr"),)
        assert granted.writable == (Path("/run"), Path("/t"), Path("/work/tree"))

    def test_a_path_inside_of_what_is_hidden_is_granted_by_itself(self) -> None:
        granted = reach("/usr /usr/home/ada/.tools /usr/share", hidden="/usr/home/ada")

        assert granted.readable == (Path("/usr"), Path("/usr/home/ada/.tools"))

    def test_the_layers_are_ordered_from_around_to_within(self) -> None:
        granted = reach("/usr /usr/home/ada/.tools", writes="/usr/home/ada/.tools/tmp", hidden="/usr/home/ada /root")

        assert granted.layers == (
            (Path("/t"), Access.WRITE),
            (Path("/usr"), Access.READ),
            (Path("/usr/home/ada"), Access.NONE),
            (Path("/usr/home/ada/.tools"), Access.READ),
            (Path("/usr/home/ada/.tools/tmp"), Access.WRITE),
        )

    def test_what_is_granted_in_so_many_words_is_not_hidden(self) -> None:
        assert (Path("/opt/project"), Access.READ) in reach("/opt /opt/project", hidden="/opt/project").layers

    def test_outermost_paths_do_not_confuse_names_that_begin_alike(self) -> None:
        assert outermost(map(Path, ("/a/b", "/a", "/a-b", "/a/b/c"))) == (Path("/a"), Path("/a-b"))


def test_a_folder_is_spread_where_something_in_it_is_hidden(tmp_path: Path) -> None:
    for name in ("a/secret", "a/open", "b", "c"):
        (tmp_path / name).mkdir(parents=True)

    assert spread(tmp_path, ()) == (tmp_path,)
    assert spread(tmp_path, (tmp_path / "a" / "secret", tmp_path / "c")) == (tmp_path / "a" / "open", tmp_path / "b")
    assert spread(tmp_path, (tmp_path,)) == ()
    assert spread(tmp_path / "missing", (tmp_path / "missing" / "x",)) == ()


class TestWhatIsReadableByDefault:
    def reads(self, path: str, home: Path, *, hidden: tuple[Path, ...] = (), **server: str) -> tuple[Path, ...]:
        return default_reads(path, PYTHON, server={"HOME": str(home), **server}, variables={}, hidden=hidden)

    def make_program(self, place: Path) -> Path:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("#!/bin/sh\n")
        return place

    def test_the_installation_around_a_folder_of_programs(self, tmp_path: Path) -> None:
        self.make_program(tmp_path / "tools" / "bin" / "tool")

        assert tmp_path / "tools" in self.reads(f"{tmp_path}/tools/bin", tmp_path)
        assert Path("/usr") in self.reads("", tmp_path)

    @pytest.mark.parametrize("folder", ["bin", ".local/bin"])
    def test_but_not_the_home_nor_what_has_it_below(self, tmp_path: Path, folder: str) -> None:
        home = tmp_path / "ada"
        self.make_program(home / folder / "tool")
        self.make_program(tmp_path / "bin" / "tool")

        reads = self.reads(f"{home}/{folder}:{tmp_path}/bin", home)

        assert {home / folder, tmp_path / "bin"} <= {*reads}
        assert not {home, home / ".local", tmp_path} & {*reads}

    def test_nor_a_repository_or_what_has_one_below(self, tmp_path: Path) -> None:
        work = tmp_path / "work"
        self.make_program(work / "bin" / "tool")
        self.make_program(work / "project" / "bin" / "tool")

        hidden = (work / "project",)
        reads = self.reads(f"{work}/bin:{work}/project/bin", tmp_path / "home", hidden=hidden)

        assert {work / "bin", work / "project" / "bin"} <= {*reads}
        assert not {work, work / "project"} & {*reads}

    def test_the_installation_of_what_a_link_among_programs_leads_to(self, tmp_path: Path) -> None:
        program = self.make_program(tmp_path / "home" / "venvs" / "tool" / "bin" / "tool")
        alone = self.make_program(tmp_path / "home" / "versions" / "1.2")
        links = tmp_path / "home" / ".local" / "bin"
        links.mkdir(parents=True)
        (links / "tool").symlink_to(program)
        (links / "alone").symlink_to(alone)
        (links / "circle").symlink_to("circle")

        reads = self.reads(str(links), tmp_path / "home")

        assert {links, tmp_path / "home" / "venvs" / "tool", alone} <= {*reads}
        assert alone.parent not in reads

    def test_what_the_owner_names(self, tmp_path: Path) -> None:
        (tmp_path / "data").mkdir()

        reads = self.reads("", tmp_path, GATEWRIGHT_READABLE=f"{tmp_path}/data{os.pathsep}{tmp_path}/missing")

        assert tmp_path / "data" in reads
        assert tmp_path / "missing" not in reads

    def test_files_that_settings_name(self, tmp_path: Path) -> None:
        (tmp_path / "wheels").mkdir()
        (tmp_path / "ca.pem").write_text("")
        values = [f"file://{tmp_path}/wheels {tmp_path}/missing", str(tmp_path / "ca.pem"), "https://index/simple", "1"]

        assert paths_in(values) == (tmp_path / "wheels", tmp_path / "ca.pem")


def test_the_worktrees_of_a_repository_are_hidden_with_it(tmp_path: Path) -> None:
    shared = tmp_path / "project" / ".git"
    (shared / "worktrees" / "w").mkdir(parents=True)
    (shared / "worktrees" / "w" / "gitdir").write_text(f"{tmp_path}/elsewhere/w/.git\n")

    hidden = hidden_places(tmp_path / "home", shared=shared, own=[tmp_path / "cache"])

    names = ("home", "cache", "project", "project/.git", "elsewhere/w")
    assert {tmp_path / name for name in names} <= {*hidden}


class TestBubblewrap:
    def test_makes_links_of_links_and_mounts_of_folders(self, tmp_path: Path) -> None:
        for folder in ("usr/bin", "temporary"):
            (tmp_path / folder).mkdir(parents=True)
        (tmp_path / "bin").symlink_to("usr/bin")
        granted = reach(f"{tmp_path}/usr {tmp_path}/bin", temporary=f"{tmp_path}/temporary")

        confined = Bubblewrap(Path("/usr/bin/bwrap"), granted).confine(["/bin/true"], cwd=Path("/work"))
        text = " ".join(confined.argv)

        assert f"--ro-bind-try {tmp_path}/usr {tmp_path}/usr" in text
        assert f"--symlink usr/bin {tmp_path}/bin" in text
        assert f"--bind {tmp_path}/temporary/tmp /tmp" in text
        assert text.endswith("--remount-ro /dev --remount-ro / --chdir /work -- /bin/true")
        assert confined.cwd == Path("/")
        assert confined.tells_status
        assert "--share-net" not in text

    def test_shares_the_network_when_it_is_granted(self, tmp_path: Path) -> None:
        granted = reach("/usr", temporary=str(tmp_path), network=True)

        assert "--share-net" in Bubblewrap(Path("/usr/bin/bwrap"), granted).confine(["/bin/true"], cwd=tmp_path).argv


class TestSeatbelt:
    """`sandbox-exec` is on no machine of ours: only what it would be told is tested."""

    def test_the_profile_denies_first_and_ends_with_what_lies_deepest(self) -> None:
        text = profile(reach("/usr /usr/home/ada/.tools", writes="/w/tree", hidden="/usr/home/ada"))

        assert text.startswith("(version 1)\n(deny default)\n")
        assert text.endswith(
            '(allow file-read* file-write* (subpath "/t"))\n'
            '(allow file-read* (subpath "/usr"))\n'
            '(allow file-read* file-write* (subpath "/w/tree"))\n'
            '(deny file-read* file-write* (subpath "/usr/home/ada"))\n'
            '(allow file-read* (subpath "/usr/home/ada/.tools"))\n'
        )

    def test_the_network_is_the_loopback_unless_it_is_granted(self) -> None:
        assert "(allow network*)\n" not in profile(reach("/usr"))
        assert profile(reach("/usr", network=True)).endswith("(allow network*)\n")

    def test_a_name_cannot_end_its_own_quotes(self) -> None:
        granted = Reach((Path('/a"b\\c'),), (), (), Path("/t"))

        assert '(allow file-read* (subpath "/a\\"b\\\\c"))\n' in profile(granted)

    def test_the_command_follows_its_profile(self) -> None:
        confined = Seatbelt(reach("/usr")).confine(["/bin/true", "x"], cwd=Path("/w"))

        assert confined.argv == [str(PROGRAM), "-p", profile(reach("/usr")), "/bin/true", "x"]
