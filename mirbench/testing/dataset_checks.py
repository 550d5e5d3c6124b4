"""Checks of data sets."""

from collections import Counter
from itertools import combinations

import numpy as np

from mirbench.data import audio
from mirbench.domain import SPLITS, Clip, Dataset, Task
from mirbench.files import content_hash
from mirbench.testing.checks import require

# Clips of each split that are decoded: the first ones show a wrong rate, format or unit; `mirbench run` reads all.
N_DECODED = 3
SAMPLE_RATE = 16000  # Hz; any rate does, since only the duration is compared
# Seconds between the stated and the decoded duration. A frame of MP3 lasts 26 ms (1,152 samples at 44.1 kHz), and
# decoders differ in whether they remove the padding of the first and the last one.
DURATION_TOLERANCE = 0.05
TIMES = np.arange(50, dtype=np.float64) / 50  # frame centres of one second: references must make targets at any times


def check_every_split_has_clips(dataset: Dataset, task: Task) -> None:
    """Train, valid and test hold clips, and each clip knows its split."""
    for fold in (dataset, *dataset.folds):
        for split in SPLITS:
            clips = fold.clips(split)
            call = f"clips({split!r}){_of(fold)}"
            require(bool(clips), f"{call} returns no clips; expected one or more: probes need all three splits")
            odd = [clip.id for clip in clips if clip.split != split]
            require(
                not odd,
                f"{len(odd)} clips of {call} have another split, such as {odd[:5]}; expected {split!r}: set "
                "Clip.split to the split that is asked for",
            )
        require(
            {clip.id for clip in _clips(fold)} == {clip.id for clip in _clips(dataset)},
            f"the clips{_of(fold)} are not those of the data set as a whole; expected the same clips, split anew",
        )


def check_groups_do_not_cross_splits(dataset: Dataset, task: Task) -> None:
    """No recording, artist or site is in two splits, in no fold."""
    for fold in (dataset, *dataset.folds):
        groups = {split: {clip.group for clip in fold.clips(split)} for split in SPLITS}
        empty = [clip.id for clip in _clips(fold) if not clip.group]
        require(
            not empty,
            f"{len(empty)} clips have an empty group, such as {empty[:5]}; expected recording, artist or site: set "
            "Clip.group",
        )
        for one, other in combinations(SPLITS, 2):
            shared = sorted(groups[one] & groups[other])
            require(
                not shared,
                f"{len(shared)} groups are in {one} and in {other}{_of(fold)}, such as {shared[:5]}; expected each in "
                "one split: split by group",
            )


def check_audio_does_not_cross_splits(dataset: Dataset, task: Task) -> None:
    """No file is in two splits."""
    files = {split: {content_hash(clip.path): clip.path for clip in dataset.clips(split)} for split in SPLITS}
    for one, other in combinations(SPLITS, 2):
        shared = [str(path) for content, path in files[one].items() if content in files[other]]
        require(
            not shared,
            f"{len(shared)} files are in {one} and in {other}, such as {shared[:5]}; expected each in one split: "
            "give the "
            "clips of a file, and of its copies, one group",
        )


def check_ids_are_unique(dataset: Dataset, task: Task) -> None:
    """Every clip has an id of its own."""
    repeated = sorted(name for name, count in Counter(clip.id for clip in _clips(dataset)).items() if count > 1)
    require(
        not repeated,
        f"{len(repeated)} ids belong to several clips, such as {repeated[:5]}; expected one clip for each id: add what "
        "tells the clips apart",
    )


def check_clips_are_listed_in_one_order(dataset: Dataset, task: Task) -> None:
    """Asking twice gives the same clips in the same order."""
    for split in SPLITS:
        first, second = ([clip.id for clip in dataset.clips(split)] for _ in range(2))
        require(
            first == second,
            f"two calls of clips({split!r}) return the ids {first[:3]}... and {second[:3]}...; expected the same "
            "order: "
            "sort the clips, or seed what shuffles them",
        )


def check_audio_can_be_read(dataset: Dataset, task: Task) -> None:
    """All files are there and unchanged; some clips of each split are decoded."""
    for clip in _clips(dataset):
        require(
            clip.path.is_file(),
            f"{clip.id}: no file {clip.path}; expected the audio of the clip: prepare the data set, or correct "
            "Clip.path",
        )
        found = content_hash(clip.path)
        require(
            clip.sha256 in (None, found),
            f"{clip.path} has the SHA-256 {found}; expected {clip.sha256}: its content has changed, prepare it again",
        )
    for split in SPLITS:
        for clip in dataset.clips(split)[:N_DECODED]:
            samples = audio.load(clip.path, SAMPLE_RATE, clip.start, clip.duration)
            if clip.duration is not None:
                duration = len(samples) / SAMPLE_RATE
                require(
                    abs(duration - clip.duration) < DURATION_TOLERANCE,
                    f"{clip.id}: {duration:.2f} s of audio; expected {clip.duration:.2f} s: correct Clip.start and "
                    "Clip.duration",
                )


def check_references_make_targets(dataset: Dataset, task: Task) -> None:
    """The task understands every reference, and its metrics accept it."""
    task = task.with_labels_of(dataset)
    require(
        bool(task.labels),
        "neither task nor data set has labels: Task.labels is empty, and Dataset.labels names none; expected one or "
        "more",
    )
    for clip in _clips(dataset):
        target = task.target(clip.reference, TIMES)
        require(
            bool(np.isfinite(target).all()),
            f"{clip.id}: the target of {clip.reference!r} holds NaN or infinity; expected finite numbers: correct the "
            "reference",
        )
        if task.objective == "multilabel":
            found, expected = target.shape[-1], len(task.labels)
            require(
                found == expected,
                f"{clip.id}: a target of {found} labels; the vocabulary has {expected}: compare Dataset.labels with "
                "the "
                "references",
            )


def check_training_covers_the_test(dataset: Dataset, task: Task) -> None:
    """A class that is asked for in the test is there to be learned."""
    task = task.with_labels_of(dataset)
    if task.scope == "clip" and task.objective == "multiclass":
        classes = [{int(task.target(clip.reference, TIMES)) for clip in dataset.clips(split)} for split in SPLITS]
        unseen = sorted(task.labels[index] for index in classes[2] - classes[0])
        require(
            not unseen,
            f"the test split has labels {unseen[:5]} ({len(unseen)} in all) that training lacks; expected none: move "
            "clips "
            "between splits, or leave them out",
        )


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
