"""Choose the pieces, once: `python -m mirbench_data_rendered.index` writes index.csv and left_out.csv beside this file.

The index is fixed and ships with the package, so that every machine renders the same clips; this module is
the record of how it came about. There are three kinds of clips: chorales, tunes and generated songs. A piece of the
corpus is taken if

1. its score states a major or minor key;
2. its last bass note is the tonic;
3. in the excerpt that will sound (the last 10 to 15 s, from a bar line), at least two of three independent key
   profiles, correlated with the durations of the pitch classes, name the stated key: pieces that modulate there are
   left out;
4. the excerpt lasts 10 s at a tempo of 56 beats a minute or more, and its bars are regular.

A generated song is taken if rule 3 holds for its melody and chords. Pieces that share melody (a chorale tune set twice,
one reel under two names) or a title form one group, and a group lies in one split. Both modes have the same numbers of
clips of each kind in every split, and each of the 24 keys sounds equally often, by transposition: neither kind nor
instrument nor register tells the key.
"""

import csv
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields
from difflib import SequenceMatcher
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
from jaxtyping import Float

from mirbench import DatasetError
from mirbench_data_rendered.corpus import TONICS, Score, read_score, score_ids
from mirbench_data_rendered.harmony import QUALITIES
from mirbench_data_rendered.seeds import generator
from mirbench_data_rendered.songs import write_song

INDEX = Path(__file__).with_name("index.csv")
LEFT_OUT = Path(__file__).with_name("left_out.csv")
KINDS = ("chorale", "tune", "song")
# Clips of each kind in each of the 24 keys, by split.
PER_KEY: dict[str, dict[str, int]] = {
    "chorale": {"train": 3, "valid": 1, "test": 2},
    "tune": {"train": 8, "valid": 3, "test": 5},
    "song": {"train": 9, "valid": 3, "test": 6},
}
SMALL_PER_KEY: dict[str, dict[str, int]] = {
    "chorale": {"train": 1, "valid": 0, "test": 1},
    "tune": {"train": 2, "valid": 1, "test": 1},
    "song": {"train": 2, "valid": 1, "test": 1},
}
MIN_SECONDS, MAX_SECONDS = 10.0, 15.0
SLOWEST_BPM = 56.0
TEMPI = {"chorale": (58.0, 80.0), "tune": (76.0, 126.0)}  # beats a minute
SHARED_FIGURES = 0.3  # of the eight-interval figures of the shorter tune
# Of the intervals of the shorter of two chorale tunes, in runs of at least `SHORTEST_RUN` and in the same order: two
# settings of one tune share .86 (BWV 16.6 and 183.5), other pairs .16 in the median and .57 at the 99th percentile.
SHARED_INTERVALS, SHORTEST_RUN = 0.7, 5

# Key profiles, C major and C minor.
PROFILES = {
    # Krumhansl, Cognitive Foundations of Musical Pitch (1990), p. 30: probe-tone ratings.
    "krumhansl": {
        "major": (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88),
        "minor": (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17),
    },
    # Aarden, Dynamic Melodic Expectancy (2003): counts over the Essen folk songs, in percent.
    "aarden": {
        "major": (17.77, 0.15, 14.93, 0.16, 19.80, 11.36, 0.29, 22.06, 0.15, 8.15, 0.23, 4.95),
        "minor": (18.26, 0.74, 14.05, 16.86, 0.70, 14.44, 0.70, 18.62, 4.57, 1.93, 7.38, 1.76),
    },
    # Bellman, About the Determination of Key of a Musical Excerpt (2005), after Budge (1943), in percent.
    "bellman": {
        "major": (16.80, 0.86, 12.95, 1.41, 13.49, 11.93, 1.25, 20.28, 1.80, 8.04, 0.62, 10.57),
        "minor": (18.16, 0.69, 12.99, 13.34, 1.07, 11.15, 1.38, 21.07, 7.49, 1.53, 0.92, 10.21),
    },
}


@dataclass(frozen=True)
class Entry:
    """One clip of the index.

    Attributes
    ----------
    id
        Identifier of the piece.
    kind
        One of `KINDS`.
    split, group, size
        See `mirbench.Clip`; the size is the smallest that has the clip.
    tonic, mode
        Of the score as it is written.
    transpose
        In semitones.
    tempo_bpm
        Quarter notes a minute.
    start, end
        Of the excerpt, in quarter notes of the score.
    """

    id: str
    kind: str
    split: str
    group: str
    size: str
    tonic: int
    mode: str
    transpose: int
    tempo_bpm: float
    start: float
    end: float

    @property
    def key(self) -> str:
        """The key that sounds, as mir_eval spells it."""
        return f"{TONICS[(self.tonic + self.transpose) % 12]} {self.mode}"

    @property
    def file_stem(self) -> str:
        """Stem of the clip's files."""
        return self.id.replace("/", "-").replace("#", "-")


def read_index() -> list[Entry]:
    """Return the entries of the index that ships."""
    with INDEX.open(newline="", encoding="utf-8") as file:
        return [
            Entry(
                id=row["id"],
                kind=row["kind"],
                split=row["split"],
                group=row["group"],
                size=row["size"],
                tonic=int(row["tonic"]),
                mode=row["mode"],
                transpose=int(row["transpose"]),
                tempo_bpm=float(row["tempo_bpm"]),
                start=float(row["start"]),
                end=float(row["end"]),
            )
            for row in csv.DictReader(file)
        ]


def estimate_key(notes: Float[np.ndarray, "note 4"], profile: str) -> tuple[int, str]:
    """Return the key whose profile correlates most with the durations of the pitch classes."""
    durations = np.bincount(notes[:, 2].astype(int) % 12, weights=notes[:, 1], minlength=12)
    scores = {
        (tonic, mode): float(np.corrcoef(durations, np.roll(weights, tonic))[0, 1])
        for mode, weights in PROFILES[profile].items()
        for tonic in range(12)
    }
    return max(scores, key=scores.__getitem__)


def is_in_key(notes: Float[np.ndarray, "note 4"], tonic: int, mode: str) -> bool:
    """Return whether two of the three key profiles name a key."""
    return sum(estimate_key(notes, profile) == (tonic, mode) for profile in PROFILES) >= 2


def kind_of(score_id: str) -> str:
    """Return the kind of a piece of the corpus."""
    return "chorale" if score_id.startswith("bach/") else "tune"


def excerpt(score: Score) -> tuple[float, float, float] | None:
    """Return start and end and a tempo, in quarter notes; None where the piece is too short."""
    beat = float(np.median(np.diff(score.beats[:, 0]))) if len(score.beats) > 1 else 1.0
    tempo_bpm = round(beat * float(generator("tempo", score.id).uniform(*TEMPI[kind_of(score.id)])), 1)
    end = float((score.notes[:, 0] + score.notes[:, 1]).max())
    starts = [start for start in score.bars if (end - start) * 60 / tempo_bpm <= MAX_SECONDS]
    if not starts:
        return None
    tempo_bpm = min(tempo_bpm, round((end - starts[0]) * 60 / MIN_SECONDS - 0.05, 1))
    return (starts[0], end, tempo_bpm) if tempo_bpm >= SLOWEST_BPM * beat else None


def is_regular(score: Score, start: float, end: float, *, in_bars: bool) -> bool:
    """Return whether the beats of an excerpt are evenly spaced and, if asked, counted in equal bars from a downbeat."""
    inside = score.beats[(score.beats[:, 0] >= start - 1e-6) & (score.beats[:, 0] < end - 1e-6)]
    if len(inside) < 4 or abs(inside[0, 0] - start) > 0.01 or np.ptp(np.diff(inside[:, 0])) >= 0.01:
        return False
    numbers = inside[:, 1].astype(int)
    if not in_bars:
        return True
    n_beats = numbers.max()
    counted = all(later == earlier % n_beats + 1 for earlier, later in pairwise(numbers))
    return bool(numbers[0] == 1 and n_beats >= 2 and counted)


def reason_to_leave_out(score: Score) -> str | None:
    """Return why a piece is not taken, or None."""
    if score.tonic is None:
        return "the score states no major or minor key"
    ends = score.notes[:, 0] + score.notes[:, 1]
    if int(score.notes[ends > ends.max() - 0.01, 2].min()) % 12 != score.tonic:
        return "the last bass note is not the tonic of the stated key"
    span = excerpt(score)
    if span is None:
        return "shorter than 10 s"
    if not is_regular(score, *span[:2], in_bars=kind_of(score.id) == "tune"):
        return "the bars of the excerpt are irregular"
    sounding = score.notes[score.notes[:, 0] >= span[0]]
    if not is_in_key(sounding, score.tonic, str(score.mode)):
        return "two of three key profiles name another key in the excerpt"
    return None


def related(scores: Sequence[Score], length: int = 8) -> dict[str, str]:
    """Return a group for every piece: pieces with one title, or with one melody, share a group.

    Two tunes have one melody if they share `SHARED_FIGURES` of their figures of eight intervals; two chorales also if
    `SHARED_INTERVALS` of their intervals agree, in order, because ornaments break figures.
    """
    parent = {score.id: score.id for score in scores}

    def root(score_id: str) -> str:
        while parent[score_id] != score_id:
            score_id = parent[score_id]
        return score_id

    def join(one: str, other: str) -> None:
        first, second = sorted((root(one), root(other)))
        parent[second] = first

    figures = {score.id: _figures(score, length) for score in scores}
    places: dict[tuple[float, ...], list[str]] = defaultdict(list)
    titles: dict[str, list[str]] = defaultdict(list)
    for score in scores:
        for figure in figures[score.id]:
            places[figure].append(score.id)
        if score.title != score.id:  # which stands for a title that is missing
            titles[_plain(score.title)].append(score.id)
    for score_id, own in figures.items():
        common = Counter(other for figure in own for other in places[figure] if other < score_id)
        for other, count in sorted(common.items()):
            if count >= SHARED_FIGURES * min(len(own), len(figures[other])):
                join(score_id, other)
    for title, members in sorted(titles.items()):
        for other in members[1:] if title else ():
            join(members[0], other)
    chorales = [score for score in scores if kind_of(score.id) == "chorale"]
    steps = {score.id: _steps(score) for score in chorales}
    for one, another in combinations(chorales, 2):
        if root(one.id) != root(another.id) and _aligned(steps[one.id], steps[another.id]) >= SHARED_INTERVALS:
            join(one.id, another.id)
    return {score.id: root(score.id) for score in scores}


def _steps(score: Score) -> list[float]:
    steps = np.diff(score.melody)
    return [float(step) for step in steps[steps != 0]]


def _figures(score: Score, length: int) -> set[tuple[float, ...]]:
    steps = _steps(score)
    return {tuple(steps[i : i + length]) for i in range(len(steps) - length + 1)}


def _aligned(one: list[float], another: list[float]) -> float:
    """Share of the shorter sequence of intervals that matches the other one in order."""
    matcher = SequenceMatcher(None, one, another, autojunk=False)
    shorter = min(len(one), len(another))
    if not shorter or matcher.quick_ratio() * (len(one) + len(another)) / 2 < SHARED_INTERVALS * shorter:
        return 0.0
    return sum(block.size for block in matcher.get_matching_blocks() if block.size >= SHORTEST_RUN) / shorter


def _plain(title: str) -> str:
    """Title without numbers, articles and punctuation; empty where a number is all that there is."""
    words = re.findall(r"[a-z]+", title.lower())
    return " ".join(sorted(word for word in words if word not in ("the", "a", "an", "bwv", "no")))


def choose(scores: Sequence[Score], groups: dict[str, str]) -> list[Entry]:
    """Fill the splits group by group, the same numbers of each kind in both modes, then deal the keys.

    Raises
    ------
    DatasetError
        If there are too few pieces.
    """
    quota = {
        (split, kind, mode): 12 * PER_KEY[kind][split]
        for split in ("train", "valid", "test")
        for kind in ("chorale", "tune")
        for mode in ("major", "minor")
    }
    chosen: dict[str, list[Score]] = defaultdict(list)
    members: dict[str, list[Score]] = defaultdict(list)
    for score in scores:
        members[groups[score.id]].append(score)
    # Minor first: there are few, so their groups must not be spent on a split that is full of major.
    order = sorted(members, key=lambda g: (all(s.mode == "major" for s in members[g]), generator("order", g).random()))
    for group in order:
        wanted = Counter((kind_of(score.id), str(score.mode)) for score in members[group])
        split = max(("train", "valid", "test"), key=lambda split: _room(wanted, quota, split))
        for score in members[group]:
            kind = (split, kind_of(score.id), str(score.mode))
            if quota[kind] > 0:
                quota[kind] -= 1
                chosen[split].append(score)
    if any(quota.values()):
        raise DatasetError(f"too few pieces: {quota}")
    return [entry for split, members in chosen.items() for entry in _deal_keys(split, members, groups)]


def _room(wanted: Counter[tuple[str, str]], quota: dict[tuple[str, str, str], int], split: str) -> tuple[int, float]:
    """Count the pieces of a group that a split can take; of equals prefer the split that is emptiest for its size."""
    fits = sum(min(n, quota[split, *kind]) for kind, n in wanted.items())
    return fits, sum(quota[split, *kind] / PER_KEY[kind[0]][split] for kind in wanted)


def _deal_keys(split: str, scores: Sequence[Score], groups: dict[str, str]) -> Iterator[Entry]:
    for kind in ("chorale", "tune"):
        for mode in ("major", "minor"):
            own = [score for score in scores if kind_of(score.id) == kind and score.mode == mode]
            for place, score in enumerate(sorted(own, key=lambda each: generator("deal", each.id).random())):
                span = excerpt(score)
                assert span is not None and score.tonic is not None
                yield Entry(
                    id=score.id,
                    kind=kind,
                    split=split,
                    group=groups[score.id],
                    size="small" if place // 12 < SMALL_PER_KEY[kind][split] else "default",
                    tonic=score.tonic,
                    mode=mode,
                    transpose=(place % 12 - score.tonic + 6) % 12 - 6,
                    tempo_bpm=span[2],
                    start=span[0],
                    end=span[1],
                )


def songs() -> Iterator[Entry]:
    """Yield the generated songs: the first of each key's seeds whose songs are in their key."""
    for split in ("train", "valid", "test"):
        for mode in ("major", "minor"):
            for tonic in range(12):
                taken, seed = 0, 0
                while taken < PER_KEY["song"][split]:
                    song_id = f"songs/{split}-{TONICS[tonic].replace('#', 's')}-{mode}-{seed:03d}"
                    seed += 1
                    song = write_song(song_id, mode, MIN_SECONDS)
                    harmony = [
                        (chord.start, chord.end - chord.start, 48.0 + chord.root + interval, 1.0)
                        for chord in song.chords
                        for interval in QUALITIES[chord.quality]
                    ]
                    if not is_in_key(np.concatenate([song.melody, np.array(harmony)]), 0, mode):
                        continue
                    yield Entry(
                        id=song_id,
                        kind="song",
                        split=split,
                        group=song_id,
                        size="small" if taken < SMALL_PER_KEY["song"][split] else "default",
                        tonic=0,
                        mode=mode,
                        transpose=(tonic + 6) % 12 - 6,
                        tempo_bpm=round(song.tempo_bpm * song.metre.beat, 1),
                        start=0.0,
                        end=song.n_bars * song.metre.n_beats * song.metre.beat,
                    )
                    taken += 1


def main() -> None:
    """Read the whole corpus (about four minutes on two cores) and write both tables."""
    with ProcessPoolExecutor() as pool:
        scores = [score for score in pool.map(read_score, score_ids(), chunksize=50) if len(score.notes) >= 20]
    reasons = {score.id: reason_to_leave_out(score) for score in scores}
    taken = [score for score in scores if reasons[score.id] is None]
    entries = choose(taken, related(taken))
    with INDEX.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([field.name for field in fields(Entry)])
        for entry in sorted([*entries, *songs()], key=lambda entry: entry.id):
            writer.writerow([getattr(entry, field.name) for field in fields(Entry)])
    counts = Counter(reason for reason in reasons.values() if reason)
    counts["good, but not needed to fill the 24 keys evenly"] = len(taken) - len(entries)
    with LEFT_OUT.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([("reason", "pieces"), *counts.most_common()])


if __name__ == "__main__":
    main()
