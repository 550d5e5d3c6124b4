"""Cross-validation: each part of a data set is the test split once.

The validation split of a fold is the part after its test part, in the order of the parts' names and from the last to
the first (numbers in names count as numbers); all other parts are for training.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from mirbench.domain import SPLITS, Clip, Dataset, Split
from mirbench.errors import DatasetError

FEWEST = 3  # parts: one each for training, validation and test
VALID_SHARE = 5  # of the groups that are not tested, one in so many is for validation


class Fold(Dataset):
    """A data set with the splits of one fold.

    Parameters
    ----------
    whole
        Data set that it is a fold of.
    fold
        Name of the fold.
    clips
        All clips, with their splits in this fold.
    """

    def __init__(self, whole: Dataset, fold: str, clips: Sequence[Clip]) -> None:
        self.name, self.version, self.size = whole.name, whole.version, whole.size
        self.labels, self.label_groups = whole.labels, whole.label_groups
        self.fold = fold
        self._clips = tuple(clips)

    def clips(self, split: Split) -> Sequence[Clip]:
        return [clip for clip in self._clips if clip.split == split]


def cross_validation(
    dataset: Dataset, clips: Sequence[Clip], parts: Mapping[str, str], n_valid: int = 1
) -> tuple[Fold, ...]:
    """Return a fold for each part: it is tested, the next ones are for validation, all others for training.

    Parameters
    ----------
    dataset
        Data set that the folds belong to.
    clips
        All clips of the data set; their own splits do not count.
    parts
        Name of the part of each clip, by the clip's id. A group must lie in one part.
    n_valid
        Number of parts for validation.

    Raises
    ------
    DatasetError
        If there are fewer than three parts, or a group lies in two.
    """
    names = sorted(set(parts.values()), key=_natural)
    if len(names) < FEWEST:
        raise DatasetError(
            f"data set {dataset.name!r} has {len(names)} parts to test in turn ({', '.join(names)}); expected at least "
            f"{FEWEST}: one each for training, validation and test"
        )
    homes: dict[str, str] = {}
    for clip in clips:
        home = homes.setdefault(clip.group, parts[clip.id])
        if home != parts[clip.id]:
            raise DatasetError(
                f"data set {dataset.name!r}: group {clip.group!r} lies in parts {home!r} and {parts[clip.id]!r}; "
                "expected each group in one"
            )
    folds = []
    for place, name in enumerate(names):
        valid = {names[(place + step) % len(names)] for step in range(1, n_valid + 1)}
        splits: dict[str, Split] = {part: "valid" if part in valid else "train" for part in names} | {name: "test"}
        folds.append(Fold(dataset, name, [replace(clip, split=splits[parts[clip.id]]) for clip in clips]))
    return tuple(folds)


def leave_group_out(dataset: Dataset) -> tuple[Fold, ...]:
    """Return a fold for each group of a data set: a site, a ward or an artist is tested that training never met.

    The next groups, a fifth of the others, are for validation. The data set's own splits do not count.

    Parameters
    ----------
    dataset
        A data set; its clips name their groups.

    Raises
    ------
    DatasetError
        If there are fewer than three groups.
    """
    clips = [clip for split in SPLITS for clip in dataset.clips(split)]
    groups = {clip.id: clip.group for clip in clips}
    n_others = len(set(groups.values())) - 1
    return cross_validation(dataset, clips, groups, n_valid=max(1, -(-n_others // VALID_SHARE)))


def _natural(name: str) -> list[tuple[int, str]]:
    """Return a key by which "fold 2" comes before "fold 10"."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name) if part]
