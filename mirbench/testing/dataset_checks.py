"""Checks of data sets."""

from collections import Counter
from itertools import combinations

import numpy as np

from mirbench.data import audio
from mirbench.domain import SPLITS, Clip, Dataset, Task
from mirbench.files import content_hash
from mirbench.testing.checks import require

N_LISTENED = 3  # clips of each split that are decoded


def check_every_split_has_clips(dataset: Dataset, task: Task) -> None:
    """Train, valid and test hold clips, and each clip knows its split."""
    for fold in (dataset, *dataset.folds):
        for split in SPLITS:
            clips = fold.clips(split)
            require(bool(clips), f"no clips in {split}{_of(fold)}")
            odd = [clip.id for clip in clips if clip.split != split]
            require(not odd, f"clips of {split}{_of(fold)} that say they are of another split: {odd[:5]}")
        require(
            {clip.id for clip in _clips(fold)} == {clip.id for clip in _clips(dataset)},
            f"other clips{_of(fold)} than in the data set as a whole",
        )


def check_groups_do_not_cross_splits(dataset: Dataset, task: Task) -> None:
    """No recording, artist or site is in two splits, in no fold."""
    for fold in (dataset, *dataset.folds):
        groups = {split: {clip.group for clip in fold.clips(split)} for split in SPLITS}
        require(all(all(groups[split]) for split in SPLITS), "a clip has no group")
        for one, other in combinations(SPLITS, 2):
            shared = sorted(groups[one] & groups[other])
            require(not shared, f"groups in {one} and in {other}{_of(fold)}: {shared[:5]} ({len(shared)} in all)")


def check_audio_does_not_cross_splits(dataset: Dataset, task: Task) -> None:
    """No file is in two splits."""
    files = {split: {content_hash(clip.path) for clip in dataset.clips(split)} for split in SPLITS}
    for one, other in combinations(SPLITS, 2):
        require(not files[one] & files[other], f"{len(files[one] & files[other])} files are in {one} and in {other}")


def check_ids_are_unique(dataset: Dataset, task: Task) -> None:
    """Every clip has an id of its own."""
    repeated = sorted(name for name, count in Counter(clip.id for clip in _clips(dataset)).items() if count > 1)
    require(not repeated, f"ids used twice: {repeated[:5]}")


def check_clips_are_listed_in_one_order(dataset: Dataset, task: Task) -> None:
    """Asking twice gives the same clips in the same order."""
    for split in SPLITS:
        first, second = ([clip.id for clip in dataset.clips(split)] for _ in range(2))
        require(first == second, f"the order of {split} changes from call to call")


def check_audio_can_be_read(dataset: Dataset, task: Task) -> None:
    """All files are there and unchanged; some clips of each split are decoded."""
    for clip in _clips(dataset):
        require(clip.path.is_file(), f"{clip.path}: no such file")
        require(clip.sha256 in (None, content_hash(clip.path)), f"{clip.path}: its content has changed")
    for split in SPLITS:
        for clip in dataset.clips(split)[:N_LISTENED]:
            samples = audio.load(clip.path, 16000, clip.start, clip.duration)
            if clip.duration is not None:
                found = len(samples) / 16000
                require(abs(found - clip.duration) < 0.05, f"{clip.id}: {found:.2f} s; expected {clip.duration:.2f}")


def check_references_make_targets(dataset: Dataset, task: Task) -> None:
    """The task understands every reference, and its metrics accept it."""
    times = np.arange(50, dtype=np.float64) / 50
    task = task.with_labels_of(dataset)
    require(bool(task.labels), "the task has no labels of its own and the data set names none (Dataset.labels)")
    for clip in _clips(dataset):
        target = task.target(clip.reference, times)
        require(bool(np.isfinite(target).all()), f"{clip.id}: the target of {clip.reference!r} is not finite")
        if task.objective == "multilabel":
            found, expected = target.shape[-1], len(task.labels)
            require(found == expected, f"{clip.id}: a target of {found} labels; the vocabulary has {expected}")


def check_training_covers_the_test(dataset: Dataset, task: Task) -> None:
    """A class that is asked for in the test is there to be learned."""
    task = task.with_labels_of(dataset)
    if task.scope == "clip" and task.objective == "multiclass":
        times = np.zeros(1)
        classes = [{int(task.target(clip.reference, times)) for clip in dataset.clips(split)} for split in SPLITS]
        unseen = sorted(task.labels[index] for index in classes[2] - classes[0])
        require(not unseen, f"labels of the test split that training never shows: {unseen}")


def _of(fold: Dataset) -> str:
    return f" of fold {fold.fold!r}" if fold.fold else ""


def _clips(dataset: Dataset) -> list[Clip]:
    return [clip for split in SPLITS for clip in dataset.clips(split)]


DATASET_CHECKS = (
    check_every_split_has_clips,
    check_groups_do_not_cross_splits,
    check_audio_does_not_cross_splits,
    check_ids_are_unique,
    check_clips_are_listed_in_one_order,
    check_audio_can_be_read,
    check_references_make_targets,
    check_training_covers_the_test,
)
