"""Disks, folders and streams that fail: one line with path and advice, no traceback."""

import errno
import io
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mirbench import files

NO_SPACE = ("no space left on device", "free some space")


def _fail_writes_under(monkeypatch, part, number):
    """Let every file fail whose path holds `part`: the disk is full, or cannot be written."""

    def mkstemp(prefix, dir):
        if part in str(dir):
            raise OSError(number, os.strerror(number))
        return temporary(prefix=prefix, dir=dir)

    temporary = files.tempfile.mkstemp
    monkeypatch.setattr(files.tempfile, "mkstemp", mkstemp)


@pytest.mark.parametrize("part", ["features", "finished"])
@pytest.mark.parametrize(
    ("number", "names"),
    [
        (errno.ENOSPC, NO_SPACE),
        (errno.EDQUOT, ("quota exceeded", "free some space")),
        (errno.EFBIG, ("file too large", "ulimit -f")),
        (errno.EROFS, ("read-only file system", "--home")),
        (errno.EACCES, ("permission denied", "permissions")),
        (errno.EMFILE, ("too many open files", "ulimit -n")),
        (errno.EIO, ("input/output error", "check the disk")),
    ],
    ids=lambda value: errno.errorcode.get(value, "") if isinstance(value, int) else "",
)
def test_a_home_that_cannot_be_written_is_named(ends, world, monkeypatch, part, number, names):
    _fail_writes_under(monkeypatch, f"home/{part}", number)
    ends(lambda world: world.run(), 1, (f"{world.home}/{part}", *names))


def test_a_results_folder_that_cannot_be_written_is_named(ends, world, monkeypatch):
    ends(lambda world: world.run(), 0, ())
    _fail_writes_under(monkeypatch, "results", errno.EROFS)
    ends(
        lambda world: ["leaderboard", "--out", world.out],
        1,
        (f"{world.out}/leaderboard.csv", "read-only file system", "choose a place that can be written"),
    )


def _file(path):
    path.write_text("")
    return path


def test_a_home_of_the_environment_that_is_a_file_is_named(ends, world, monkeypatch):
    monkeypatch.setenv("MIRBENCH_HOME", str(_file(world.folder / "file")))
    ends(lambda world: world.run(), 1, (str(world.folder / "file"), "expected a folder, found a file"))
    ends(
        lambda world: ["data", "prepare", "hospital-synth", "--size", "small"],
        1,
        (str(world.folder / "file"), "expected a folder, found a file"),
    )
    ends(lambda world: ["store", "ls"], 0, ("nothing in",))
    ends(lambda world: ["data", "list"], 0, ())


def test_results_that_are_a_file_are_refused(ends, world):
    ends(lambda world: world.run("key", "mfcc", "--out", _file(world.folder / "out")), 2, ("out",))


def test_a_records_folder_that_is_a_file_is_named(ends, world):
    world.out.mkdir()
    _file(world.out / "records")
    ends(lambda world: world.run(), 1, (f"{world.out}/records",))


def test_a_features_folder_that_is_a_file_is_named(ends, world):
    world.home.mkdir()
    _file(world.home / "features")
    ends(lambda world: world.run(), 1, (f"{world.home}/features", "expected a folder, found a file"))


def _refuse(monkeypatch, name, number=errno.EACCES):
    """Let a file exist that cannot be opened, whoever runs the tests."""
    real = Path.open

    def opened(self, *words, **more):
        if self.name == name:
            raise OSError(number, os.strerror(number), str(self))
        return real(self, *words, **more)

    monkeypatch.setattr(Path, "open", opened)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ESTALE])
def test_one_unreadable_recording_among_twelve_is_named(ends, world, monkeypatch, number):
    _refuse(monkeypatch, "07.wav", number)
    ends(lambda world: world.run(), 1, ("07.wav", os.strerror(number).lower()))


def test_a_recording_that_is_a_folder_is_named(ends, world):
    (world.folder / "07.wav").unlink()
    (world.folder / "07.wav").mkdir()
    ends(lambda world: world.run(), 1, ("07.wav",))


def test_a_recording_that_becomes_unreadable_later_is_named(ends, world, monkeypatch):
    ends(lambda world: world.run(), 0, ())
    _refuse(monkeypatch, "07.wav")
    ends(lambda world: world.run("key", "mfcc", "--home", world.folder / "other"), 1, ("07.wav", "permission denied"))


def test_pretraining_leaves_out_an_unreadable_recording_and_names_it(ends, world, monkeypatch):
    from mirbench_ssl import corpus

    def hashed(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(corpus, "content_hash", hashed)
    ends(
        lambda world: ["pretrain", "vit1d", "--audio", world.folder, "--out", world.folder / "w.safetensors"],
        1,
        ("03.wav: permission denied", "no audio to train on"),
    )


class Stream(io.StringIO):
    """A standard output that takes nothing."""

    def __init__(self, number):
        super().__init__()
        self.number = number

    def flush(self):
        raise OSError(self.number, os.strerror(self.number))


@pytest.mark.parametrize(
    ("number", "names"), [(errno.ENOSPC, NO_SPACE), (errno.EPIPE, ("broken pipe", "the program that read it"))]
)
def test_a_standard_output_that_takes_nothing_is_an_error_of_one_line(ends, monkeypatch, number, names):
    def inflict(world):
        monkeypatch.setattr(sys, "stdout", Stream(number))
        return ["list", "tasks"]

    ends(inflict, 1, ("standard output: ", *names))


def test_a_command_that_ends_a_file_too_early_is_not_interrupted(ends, monkeypatch):
    from mirbench.cli import info

    def ended(*words, **more):
        raise EOFError("compressed file ended")

    monkeypatch.setattr(info, "print_specs", ended)
    printed = ends(lambda world: ["list", "tasks"], 1, ("a damaged file", "compressed file ended"))
    assert "interrupted" not in printed


def test_an_interrupted_command_exits_with_130(ends, monkeypatch):
    from mirbench.cli import info

    def interrupted(*words, **more):
        raise KeyboardInterrupt

    monkeypatch.setattr(info, "print_specs", interrupted)
    ends(lambda world: ["list", "tasks"], 130, ("interrupted",))


def _shell(script, folder):
    """Run a shell script in which $M is mirbench."""
    command = f'M="{sys.executable} -m mirbench"\n{script}'
    return subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, text=True, timeout=100)


@pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/full")
@pytest.mark.parametrize(
    ("script", "code", "names"),
    [
        ("$M list tasks > /dev/full", 1, ("standard output: no space left on device",)),
        ("mkdir gone; cd gone; rmdir ../gone; $M list tasks", 1, ("the working folder", "change into another folder")),
        ("$M list tasks | true; exit ${PIPESTATUS[0]}", 1, ("standard output: broken pipe",)),
    ],
    ids=["full standard output", "deleted working folder", "reader gone"],
)
def test_a_shell_sees_one_line(world, script, code, names):
    found = _shell(script, world.folder)
    assert found.returncode == code, found.stderr
    assert len(found.stderr.strip().splitlines()) == 1, found.stderr
    for name in names:
        assert name in found.stderr


def test_a_run_without_standard_error_computes_the_same(world):
    words = " ".join(f"'{word}'" for word in world.run())
    found = _shell(f"$M {words} 2>&-", world.folder)
    assert found.returncode == 0
    assert "weighted_score" in found.stdout


@pytest.mark.parametrize("folder", ["home/features/f/mean", "home/finished", "home/weights/a", "out", "out/records"])
def test_what_killed_writers_left_is_swept_an_hour_later(ends, world, folder):
    place = world.out / folder[4:] if folder.startswith("out") else world.home / folder[5:]
    place.mkdir(parents=True)
    now = time.time()
    ages = {".part-abcdefg1": 7200, ".part-abcdefg2": 60, ".part-abcdefg3": -(10**9), ".part-of-the-user": 7200}
    for name, age in ages.items():
        (place / name).write_text("")
        os.utime(place / name, (now - age, now - age))
    ends(lambda world: world.run(), 0, ())
    assert sorted(path.name for path in place.glob(".part-*")) == sorted(ages)[1:]
    os.utime(place / ".part-abcdefg2")
    dated = (place / ".part-abcdefg3").stat().st_mtime
    assert abs(dated - time.time()) < 100  # it goes in an hour


def test_folders_of_the_user_under_the_results_are_not_swept(ends, world):
    mine = world.out / "mine" / ".part-abcdefgh"
    mine.parent.mkdir(parents=True)
    mine.write_text("")
    os.utime(mine, (0, 0))
    ends(lambda world: world.run(), 0, ())
    assert mine.exists()


def test_what_cannot_be_swept_stops_nothing(ends, world, monkeypatch):
    left = world.home / "features" / ".part-abcdefgh"
    left.parent.mkdir(parents=True)
    left.write_text("")
    os.utime(left, (0, 0))
    real = Path.unlink

    def unlink(self, missing_ok=False):
        if self == left:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(self))
        real(self, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", unlink)
    ends(lambda world: world.run(), 0, ())


def test_the_key_of_an_empty_folder_is_an_error_of_one_line(ends, world):
    (world.folder / "empty").mkdir()
    (world.folder / "empty" / "notes.txt").write_text("")
    printed = ends(lambda world: ["key", world.folder / "empty"], 1, ("empty: no audio in this folder", ".flac"))
    assert len(printed.splitlines()) == 1
