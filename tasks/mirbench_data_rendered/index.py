"""Choose the pieces, once: `python -m mirbench_data_rendered.index` writes index.csv and left_out.csv beside this file.

The index is fixed and ships with the package, so that every machine renders the same clips; this module is
the record of how it came about. A piece is taken if

1. its score states a major or minor key;
2. its last bass note is the tonic;
3. in the excerpt that will sound (the last 15 to 28 s, from a bar line), at least two of three independent key
   profiles, correlated with the durations of the pitch classes, name the stated key;
4. the excerpt lasts 15 s at a tempo of 60 quarter notes a minute or more.

Pieces that share melody (a chorale tune set twice, one reel under two names) form one group, and a group lies in
one split. Both modes have the same numbers of chorales and of folk tunes in every split, and each of the 24 keys
sounds equally often, by transposition: neither source nor instrument nor register tells the key.
"""

import csv
import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from jaxtyping import Float

from mirbench import DatasetError
from mirbench_data_rendered.corpus import TONICS, Score, read_score, score_ids

INDEX = Path(__file__).with_name("index.csv")
LEFT_OUT = Path(__file__).with_name("left_out.csv")
PER_KEY = {"train": 18, "valid": 6, "test": 8}
SMALL_PER_KEY = {"train": 5, "valid": 2, "test": 3}
MIN_SECONDS, MAX_SECONDS = 15.0, 28.0
SLOWEST_BPM = 60.0

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

Kind = tuple[bool, str]  # is it a chorale, and its mode

# General MIDI programs (counted from 0), one a part, repeated where there are more parts.
CHORALE_ENSEMBLES = (
    (0,), (6,), (19,), (20,), (24,), (48,), (52,),
    (40, 40, 41, 42), (56, 60, 57, 58), (73, 68, 71, 70), (64, 65, 66, 67),
)  # fmt: skip
# Heard in TimGM6mb and refused: 78 (whistle) sounds three semitones sharp; 21 (accordion) has a second reed a semitone
# flat; 105 (banjo) is loudest a fifth too high.
FOLK_INSTRUMENTS = (0, 11, 12, 15, 20, 22, 24, 25, 40, 46, 56, 68, 71, 73, 74)


@dataclass(frozen=True)
class Entry:
    """One clip of the index; times in quarter notes of the untransposed score."""

    id: str
    split: str
    group: str
    size: str
    tonic: int
    mode: str
    transpose: int
    tempo_bpm: float
    start: float
    end: float
    programs: tuple[int, ...]

    @property
    def key(self) -> str:
        """The key that sounds, as mir_eval spells it."""
        return f"{TONICS[(self.tonic + self.transpose) % 12]} {self.mode}"

    @property
    def file_stem(self) -> str:
        return self.id.replace("/", "-").replace("#", "-")


def read_index() -> list[Entry]:
    """Read the index that ships."""
    with INDEX.open(newline="", encoding="utf-8") as file:
        return [
            Entry(
                id=row["id"],
                split=row["split"],
                group=row["group"],
                size=row["size"],
                tonic=int(row["tonic"]),
                mode=row["mode"],
                transpose=int(row["transpose"]),
                tempo_bpm=float(row["tempo_bpm"]),
                start=float(row["start"]),
                end=float(row["end"]),
                programs=tuple(int(program) for program in row["programs"].split()),
            )
            for row in csv.DictReader(file)
        ]


def generator(*parts: str) -> np.random.Generator:
    """Make a random generator that depends on nothing but the given words."""
    digest = hashlib.sha256("\n".join(parts).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))


def estimate_key(notes: Float[np.ndarray, "note 4"], profile: str) -> tuple[int, str]:
    """Correlate the durations of the pitch classes with a key profile in all 24 keys."""
    durations = np.bincount(notes[:, 2].astype(int) % 12, weights=notes[:, 1], minlength=12)
    scores = {
        (tonic, mode): float(np.corrcoef(durations, np.roll(weights, tonic))[0, 1])
        for mode, weights in PROFILES[profile].items()
        for tonic in range(12)
    }
    return max(scores, key=scores.__getitem__)


def excerpt(score: Score) -> tuple[float, float, float] | None:
    """Choose start and end in quarter notes, and a tempo; None where the piece is too short."""
    low, high = (66.0, 96.0) if score.id.startswith("bach/") else (100.0, 160.0)
    tempo_bpm = round(float(generator("tempo", score.id).uniform(low, high)), 1)
    end = float((score.notes[:, 0] + score.notes[:, 1]).max())
    starts = [start for start in score.bars if (end - start) * 60 / tempo_bpm <= MAX_SECONDS]
    if not starts:
        return None
    tempo_bpm = min(tempo_bpm, round((end - starts[0]) * 60 / MIN_SECONDS - 0.05, 1))
    return (starts[0], end, tempo_bpm) if tempo_bpm >= SLOWEST_BPM else None


def reason_to_leave_out(score: Score) -> str | None:
    """Say why a piece is not taken, or None."""
    if score.tonic is None:
        return "the score states no major or minor key"
    ends = score.notes[:, 0] + score.notes[:, 1]
    if int(score.notes[ends > ends.max() - 0.01, 2].min()) % 12 != score.tonic:
        return "the last bass note is not the tonic of the stated key"
    span = excerpt(score)
    if span is None:
        return "shorter than 15 s"
    sounding = score.notes[score.notes[:, 0] >= span[0]]
    if sum(estimate_key(sounding, profile) == (score.tonic, score.mode) for profile in PROFILES) < 2:
        return "two of three key profiles hear another key in the excerpt"
    return None


def melodic_groups(scores: Sequence[Score], length: int = 8, shared: float = 0.3) -> dict[str, str]:
    """Name a group for every piece; two pieces that share 30 % of their eight-interval figures share a group."""
    figures = {score.id: _figures(score, length) for score in scores}
    places: dict[tuple[float, ...], list[str]] = defaultdict(list)
    for score_id, own in figures.items():
        for figure in own:
            places[figure].append(score_id)
    parent = {score_id: score_id for score_id in figures}

    def root(score_id: str) -> str:
        while parent[score_id] != score_id:
            score_id = parent[score_id]
        return score_id

    for score_id, own in figures.items():
        common = Counter(other for figure in own for other in places[figure] if other < score_id)
        for other, count in sorted(common.items()):
            if count >= shared * min(len(own), len(figures[other])):
                first, second = sorted((root(score_id), root(other)))
                parent[second] = first
    return {score_id: root(score_id) for score_id in figures}


def _figures(score: Score, length: int) -> set[tuple[float, ...]]:
    steps = np.diff(score.melody)
    steps = steps[steps != 0]
    return {tuple(steps[i : i + length]) for i in range(len(steps) - length + 1)}


def choose(scores: Sequence[Score], groups: dict[str, str]) -> list[Entry]:
    """Fill the splits group by group, the same numbers of each source in both modes, then deal the keys."""
    kinds = Counter(map(_kind, scores))
    per_mode = 12 * sum(PER_KEY.values())
    n_chorales = min(kinds[True, "major"], kinds[True, "minor"]) * 4 // 5  # leaves room to fit whole groups
    quota: dict[tuple[str, *Kind], int] = {}
    for split, per_key in PER_KEY.items():
        chorales = n_chorales * 12 * per_key // per_mode
        for mode in ("major", "minor"):
            quota[split, True, mode], quota[split, False, mode] = chorales, 12 * per_key - chorales
    chosen: dict[str, list[Score]] = {split: [] for split in PER_KEY}
    members: dict[str, list[Score]] = defaultdict(list)
    for score in scores:
        members[groups[score.id]].append(score)
    # Minor first: there are few, so their groups must not be spent on a split that is full of major.
    order = sorted(members, key=lambda g: (all(s.mode == "major" for s in members[g]), generator("order", g).random()))
    for group in order:
        wanted = Counter(map(_kind, members[group]))
        split = max(PER_KEY, key=lambda split: _room(wanted, quota, split))
        for score in members[group]:
            kind = (split, *_kind(score))
            if quota[kind] > 0:
                quota[kind] -= 1
                chosen[split].append(score)
    if any(quota.values()):
        raise DatasetError(f"too few pieces: {quota}")
    return [entry for split in PER_KEY for entry in _deal_keys(split, chosen[split], groups)]


def _kind(score: Score) -> Kind:
    return score.id.startswith("bach/"), str(score.mode)


def _room(wanted: Counter[Kind], quota: dict[tuple[str, *Kind], int], split: str) -> tuple[int, float]:
    """Count the pieces of a group that a split can take; of equals prefer the split that is emptiest for its size."""
    fits = sum(min(n, quota[split, *kind]) for kind, n in wanted.items())
    return fits, sum(quota[split, *kind] for kind in wanted) / PER_KEY[split]


def _deal_keys(split: str, scores: Sequence[Score], groups: dict[str, str]) -> Iterator[Entry]:
    for mode in ("major", "minor"):
        own = sorted((s for s in scores if s.mode == mode), key=lambda s: generator("deal", s.id).random())
        for place, score in enumerate(own):
            span = excerpt(score)
            assert span is not None and score.tonic is not None
            shift = (place % 12 - score.tonic + 6) % 12 - 6
            yield Entry(
                id=score.id,
                split=split,
                group=groups[score.id],
                size="small" if place // 12 < SMALL_PER_KEY[split] else "default",
                tonic=score.tonic,
                mode=mode,
                transpose=shift,
                tempo_bpm=span[2],
                start=span[0],
                end=span[1],
                programs=_instruments(score),
            )


def _instruments(score: Score) -> tuple[int, ...]:
    choice = generator("instruments", score.id)
    if not score.id.startswith("bach/"):
        return (int(choice.choice(FOLK_INSTRUMENTS)),)
    ensemble = CHORALE_ENSEMBLES[choice.integers(len(CHORALE_ENSEMBLES))]
    return tuple(ensemble[part % len(ensemble)] for part in range(score.n_parts))


def main() -> None:
    """Read the whole corpus (about four minutes on two cores) and write both tables."""
    with ProcessPoolExecutor() as pool:
        scores = [score for score in pool.map(read_score, score_ids(), chunksize=50) if len(score.notes) >= 20]
    reasons = {score.id: reason_to_leave_out(score) for score in scores}
    taken = [score for score in scores if reasons[score.id] is None]
    entries = choose(taken, melodic_groups(taken))
    with INDEX.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([field.name for field in fields(Entry)])
        for entry in sorted(entries, key=lambda entry: entry.id):
            values = [getattr(entry, field.name) for field in fields(Entry)]
            writer.writerow([" ".join(map(str, v)) if isinstance(v, tuple) else v for v in values])
    counts = Counter(reason for reason in reasons.values() if reason)
    counts["good, but not needed to fill the 24 keys evenly"] = len(taken) - len(entries)
    with LEFT_OUT.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([("reason", "pieces"), *counts.most_common()])


if __name__ == "__main__":
    main()
