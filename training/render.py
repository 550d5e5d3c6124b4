"""Render music to train on: generated songs, each at several transpositions in other arrangements.

    python training/render.py FOLDER --hours 30

Every song is written by the generator of `rendered-scores` from an identifier that no data set uses, and played several
times: at another transposition, by other instruments, in another room. Only sounds of the training split play. Files
are named SONG__+3.flac, where +3 is the transposition in semitones; `mirbench pretrain` pairs segments of the files of
one song and knows by how much one is transposed against the other. Rendering is deterministic, and continues where it
was interrupted.
"""

import argparse
from functools import partial
from pathlib import Path

import numpy as np
import soundfile

from mirbench.processes import process_pool
from mirbench.progress import Progress
from mirbench_data_rendered import render
from mirbench_data_rendered.clips import arranged
from mirbench_data_rendered.index import Entry
from mirbench_data_rendered.seeds import generator
from mirbench_data_rendered.songs import write_song

TRANSPOSITIONS = 4  # renderings of a song
SECONDS = 45.0  # shortest duration of a song
RANGE = (-6, 6)  # semitones


def entry_of(song_id: str, mode: str, transpose: int) -> Entry:
    """Return a song at a transposition, as an entry of the training split."""
    song = write_song(song_id, mode, SECONDS)
    return Entry(
        id=song_id,
        kind="song",
        split="train",
        group=song_id,
        size="default",
        tonic=0,
        mode=mode,
        transpose=transpose,
        tempo_bpm=round(song.tempo_bpm * song.metre.beat, 1),
        start=0.0,
        end=song.n_bars * song.metre.n_beats * song.metre.beat,
    )


def make(number: int, folder: Path) -> float:
    """Render one song at all its transpositions; returns the seconds of audio."""
    song_id = f"training/{number:05d}"
    random = generator("training", song_id)
    mode = "major" if random.random() < 0.5 else "minor"
    transpositions = random.choice(np.arange(RANGE[0], RANGE[1]), size=TRANSPOSITIONS, replace=False)
    seconds = 0.0
    for transpose in sorted(transpositions.tolist()):
        path = folder / f"{number:05d}__{transpose:+d}.flac"
        if not path.exists():
            clip = arranged(entry_of(song_id, mode, transpose), "training", str(transpose), seconds=SECONDS)
            recording = generator("recording", song_id, "training", str(transpose))
            samples = render.render(clip.tracks, clip.seconds, clip.duration, clip.cents, folder, recording)
            temporary = path.with_suffix(".part")
            soundfile.write(temporary, samples, render.SAMPLE_RATE, format="FLAC")
            temporary.rename(path)
        seconds += soundfile.info(path).duration
    return seconds


def main() -> None:
    """Render until there are as many hours as asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--hours", type=float, default=30.0)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    n_songs = round(given.hours * 3600 / (TRANSPOSITIONS * (SECONDS + 3)))
    with Progress("rendering songs", n_songs) as progress, process_pool(given.workers) as pool:
        for seconds in pool.map(partial(make, folder=given.folder), range(n_songs)):
            progress.advance(seconds)


if __name__ == "__main__":
    main()
