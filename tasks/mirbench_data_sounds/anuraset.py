"""AnuraSet: which of 42 Neotropical frogs call in 3 s of a field recording (Canas et al., Scientific Data 2023).

The layout is that of anuraset.zip (10.5281/zenodo.8342596), as its README and the readers of soundclim/anuraset and
ilyassmoummad/Mix2 have it::

    metadata.csv                                   one row a window
    audio/<site>/<fname>_<min_t>_<max_t>.wav       22,050 Hz, mono, 3 s

`fname` is the one-minute recording, named ``<site>_<date>_<time>`` (one of them has a fourth part). The windows of a
recording overlap by 2 s. A window is positive for a species if any part of a call lies in it.

Splits: `subset` of the metadata is train or test as published, by whole recordings. There is no published validation
split; here it is about an eighth of the training recordings, chosen by a hash of their names.
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from mirbench.data.required_files import missing_files, refuse_missing, require_files
from mirbench.domain import Clip, Dataset, Split
from mirbench.files import content_hash
from mirbench.specs import DatasetRequest
from mirbench_data_sounds.tables import Row, read_table, refuse

FOLDER = "anuraset"
URL = "https://zenodo.org/records/8342596/files/anuraset.zip?download=1"
MD5 = "7950ac82e288113c102b2a7ffa05b9dc"  # of Zenodo's record
SPLIT = 1  # raise whenever other recordings become the validation split
VALID_SHARE = 8  # one of so many training recordings

FACTS = ("sample_name", "fname", "min_t", "max_t", "site", "date", "species_number", "subset")
CODES = """
    SPHSUR BOABIS SCIPER DENNAH LEPLAT RHIICT BOALEP BOAFAB PHYCUV DENMIN ELABIC BOAPRA DENCRU BOALUN
    BOAALB PHYMAR PITAZU PHYSAU LEPFUS DENNAN PHYALB LEPLAB SCIFUS BOARAN SCIFUV AMEPIC LEPPOD ADEDIP
    ELAMAT PHYNAT LEPELE RHISCI SCINAS LEPNOT ADEMAR BOAALM PHYDIS RHIORN LEPFLA SCIRIZ DENELE SCIALT
"""  # in the order of the metadata's columns
SPECIES = tuple(CODES.split())
FREQUENT = ("SPHSUR", "BOABIS", "BOAFAB", "LEPPOD")  # groups: Canas et al. 2023
COMMON = ("PITAZU", "DENMIN", "PHYCUV", "LEPLAT", "PHYALB", "SCIPER", "DENNAN", "BOAALB")
NOT_IN_BOTH_SUBSETS = ("SCIFUS", "LEPELE", "RHISCI", "SCINAS", "LEPFLA", "SCIRIZ")  # Mix2


class AnuraSet(Dataset):
    """All clips; references are vectors of 0 and 1 in the order of `labels`.

    Raises
    ------
    MissingDataError
        If it is not there.
    DatasetError
        If files are missing, or the metadata is not as published.
    """

    name = "anuraset"
    labels = SPECIES

    def __init__(self, request: DatasetRequest) -> None:
        root = find_root(request)
        if root is None:
            refuse_missing(self.name, request.home / "data" / FOLDER, "no metadata.csv")
        metadata = root / "metadata.csv"
        rows = read_table(metadata, (*FACTS, *SPECIES))
        refuse([f"{metadata}:{line}: {problem}" for line, cells in rows for problem in _problems(cells)])
        self.version = f"{SPLIT}-{content_hash(metadata)[:10]}"
        self.label_groups = group(self.labels)
        clips = [_clip(root, cells, self.labels) for _, cells in rows]
        self._clips = [clip for clip in clips if self.holds(clip)]
        if request.needs_audio:
            require_files(self.name, root, [clip.path for clip in self._clips])

    def holds(self, clip: Clip) -> bool:
        """Return whether a clip is part of this data set."""
        return True

    def clips(self, split: Split) -> Sequence[Clip]:
        """List the clips of a split in the order of the metadata."""
        return [clip for clip in self._clips if clip.split == split]


class AnuraSet36(AnuraSet):
    """AnuraSet-36 of Mix2: without the species that train and test do not share, and without clips that have none."""

    name = "anuraset-36"
    labels = tuple(species for species in SPECIES if species not in NOT_IN_BOTH_SUBSETS)

    def holds(self, clip: Clip) -> bool:
        """Return whether one of the 36 species calls."""
        return bool(clip.reference.any())


def prepare(request: DatasetRequest) -> None:
    """Download and unpack what is missing (11.4 GB, as much again when unpacked)."""
    root = find_root(request)
    if root is not None and not missing_files(_paths(root, read_table(root / "metadata.csv", (*FACTS, *SPECIES)))):
        return
    from mirbench.data.download import fetch, unpack

    folder = request.home / "data" / FOLDER
    archive = folder / "anuraset.zip"
    fetch(URL, archive, md5=MD5, title="downloading AnuraSet")
    unpack(archive, folder)
    archive.unlink()


def find_root(request: DatasetRequest) -> Path | None:
    """Find the folder of the metadata: the one that the archive holds, or where it was unpacked."""
    folder = request.home / "data" / FOLDER
    return next((root for root in (folder / "anuraset", folder) if (root / "metadata.csv").is_file()), None)


def group(labels: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
    """Sort labels into the published groups of frequent, common and rare species."""
    return {
        "frequent": tuple(label for label in labels if label in FREQUENT),
        "common": tuple(label for label in labels if label in COMMON),
        "rare": tuple(label for label in labels if label not in (*FREQUENT, *COMMON)),
    }


def split_of(subset: str, recording: str) -> Split:
    """Name the split of a recording."""
    if subset == "test":
        return "test"
    is_valid = int.from_bytes(sha256(recording.encode()).digest()[:8]) % VALID_SHARE == 0
    return "valid" if is_valid else "train"


def _problems(cells: Mapping[str, str]) -> list[str]:
    problems = [f"{cells[code]!r} for {code}; expected 0 or 1" for code in SPECIES if cells[code] not in ("0", "1")]
    if cells["subset"] not in ("train", "test"):
        problems.append(f"subset {cells['subset']!r}; expected train or test")
    return problems


def _clip(root: Path, cells: Mapping[str, str], labels: Sequence[str]) -> Clip:
    path = _path(root, cells)
    return Clip(
        id=path.stem,
        path=path,
        split=split_of(cells["subset"], cells["fname"]),
        group=cells["fname"],
        reference=_reference(cells, labels),
    )


def _reference(cells: Mapping[str, str], labels: Sequence[str]) -> Float32[np.ndarray, "label"]:
    return np.array([cells[label] == "1" for label in labels], dtype=np.float32)


def _path(root: Path, cells: Mapping[str, str]) -> Path:
    recording = cells["fname"]
    return root / "audio" / recording.split("_")[0] / f"{recording}_{cells['min_t']}_{cells['max_t']}.wav"


def _paths(root: Path, rows: Sequence[Row]) -> list[Path]:
    return [_path(root, cells) for _, cells in rows]
