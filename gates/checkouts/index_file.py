"""Tell git's index what the files on the disk look like, so that git takes them for unchanged, or looks again.

A file whose content comes from elsewhere (LFS) has other bytes than its blob. As long as size, times and inode are
those that the index names, git does not read it: a checkout stays clean, and what somebody changes later is still seen.
"""

import os
import struct
from collections.abc import Mapping
from hashlib import new
from pathlib import Path

SIGNATURE = b"DIRC"
# Version 4 shortens paths by those before them; git writes it only where it is asked to.
VERSIONS = (2, 3)
HEADER = struct.Struct(">4sII")
# Times of change and modification, device, inode, mode, owner, group, size.
STAT = struct.Struct(">10I")
FLAGS = struct.Struct(">H")
EXTENDED = 0x4000
MASK = 0xFFFFFFFF
# What git ends the file with, by the length of its ids.
DIGESTS: Mapping[int, str] = {20: "sha1", 32: "sha256"}
NANOSECONDS = 10**9


class IndexUnreadable(ValueError):
    """The file is no index of a version that git writes by default."""


def set_stats(index: Path, files: Mapping[str, os.stat_result | None], *, oid_bytes: int) -> None:
    """Record these states for these paths; None makes git look at the file the next time. Other entries stay.

    The file is replaced as a whole and keeps its own time, by which git tells which files may have changed since.
    Raises `IndexUnreadable`.
    """
    wanted = {os.fsencode(path): state for path, state in files.items()}
    data = bytearray(index.read_bytes())
    time = index.stat()
    for path, place in _entries(data, oid_bytes):
        if path in wanted:
            _write(data, place, wanted[path])
    data[-oid_bytes:] = new(DIGESTS[oid_bytes], data[:-oid_bytes]).digest()
    fresh = index.with_name(f"{index.name}.fresh")
    fresh.write_bytes(data)
    os.utime(fresh, ns=(time.st_atime_ns, time.st_mtime_ns))
    fresh.replace(index)


def _entries(data: bytearray, oid_bytes: int) -> list[tuple[bytes, int]]:
    """Every path with the place where its state begins."""
    try:
        signature, version, count = HEADER.unpack_from(data)
        if signature != SIGNATURE or version not in VERSIONS:
            raise IndexUnreadable(f"an index of version {version}")
        found, place = [], HEADER.size
        for _ in range(count):
            (flags,) = FLAGS.unpack_from(data, place + STAT.size + oid_bytes)
            name = place + STAT.size + oid_bytes + FLAGS.size * (2 if flags & EXTENDED else 1)
            end = data.index(b"\0", name)
            found.append((bytes(data[name:end]), place))
            # One to eight zeros fill an entry up to a multiple of eight bytes.
            place += (end - place + 8) // 8 * 8
    except (struct.error, ValueError) as exc:
        raise IndexUnreadable(str(exc)) from exc
    return found


def _write(data: bytearray, place: int, state: os.stat_result | None) -> None:
    mode = STAT.unpack_from(data, place)[6]
    if state is None:
        STAT.pack_into(data, place, *(0,) * 6, mode, 0, 0, 0)
        return
    times = (*divmod(state.st_ctime_ns, NANOSECONDS), *divmod(state.st_mtime_ns, NANOSECONDS))
    rest = (state.st_dev, state.st_ino, mode, state.st_uid, state.st_gid, state.st_size)
    STAT.pack_into(data, place, *(value & MASK for value in (*times, *rest)))
