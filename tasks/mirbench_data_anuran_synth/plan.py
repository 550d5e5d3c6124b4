"""The plan: which sites there are, who calls there in which recording, and which clips are cut from it.

A pure function of `SEED`. A site has a biome, a subset of species, a soundscape and a reverberation, and lies in one
split. A recording is one minute of one night there, dry or wet; `CLIPS_PER_RECORDING` of its 20 windows of 3 s become
clips. Males keep voice, distance and level above the background through a recording. Who is heard in a clip follows
from the onsets of the notes; the plan is therefore also the list of labels.

AnuraSet's frequent, common and rare species are so here, too: `PRESENCE` is the share of a split's sites at which a
species lives, `ACTIVITY` the share of the recordings there in which it calls. The numbers of sites and the long tail
are choices of this data set, not AnuraSet's counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from mirbench.domain import SPLITS, Split
from mirbench_data_anuran_synth.background import Ambience, Cicada, Insect
from mirbench_data_anuran_synth.calls import RECORDING_SECONDS, SAMPLE_RATE, Species, Voice, draw_voice, note_onsets
from mirbench_data_anuran_synth.calls import read_species as species_table
from mirbench_data_anuran_synth.scene import AUDIBLE_DB, CLIP_SECONDS, Room, Singer, excess_loss_db

SEED = 20230
SITES: dict[Split, int] = {"train": 20, "valid": 12, "test": 20}  # half of them in each biome
BIOMES = ("atlantic", "cerrado")
RECORDINGS_PER_SITE: dict[Split, int] = {"train": 30, "valid": 16, "test": 16}
FEWEST_SITES = 4  # of a species in every split, so that it calls in clips of three or more, and no score hangs on one
CLIPS_PER_RECORDING = 2
SMALL: dict[Split, int] = {"train": 144, "valid": 36, "test": 60}
SMALL_COVER: dict[Split, int] = {"train": 4, "valid": 1, "test": 2}  # clips of every species that it holds at least
GROUPS = ("frequent", "common", "rare")
PRESENCE = {"frequent": 1.0, "common": 0.75, "rare": 0.5}
ACTIVITY = {"frequent": 0.4, "common": 0.2, "rare": 0.16}
SILENT_SHARE = 0.04  # recordings without any frog
WET_SHARE = 0.4
RAIN_SHARE = 0.5  # of wet nights: it still rains
WEIGHT_IN_OTHER_WEATHER = 0.15  # of recordings on dry nights, for species that call after rain
CHORUS = {"frequent": 8, "common": 6, "rare": 4}  # males at most
SNR_DB = (-4.0, 36.0)  # of the loudest male; near and below the background, too
DISTANCE_M = (4.0, 60.0)
HEARD_SECONDS = 0.25  # a note counts if the clip holds all of it, or this much


@dataclass(frozen=True)
class Site:
    """A place: its species, its background on a dry night, its reverberation."""

    name: str
    split: Split
    biome: str
    ambience: Ambience
    room: Room


@dataclass(frozen=True)
class Male:
    """A male in a recording; `onsets` are seconds from its start."""

    voice: Voice
    distance: float
    snr_db: float
    onsets: tuple[float, ...] = field(repr=False)  # they follow from the voice


@dataclass(frozen=True)
class Recording:
    """One minute at a site."""

    name: str
    site: Site
    ambience: Ambience
    males: tuple[Male, ...]
    windows: tuple[int, ...]


@dataclass(frozen=True)
class ClipPlan:
    """Three seconds of a recording, and who is heard in them."""

    name: str
    site: Site
    ambience: Ambience
    singers: tuple[Singer, ...]
    seed: tuple[int, int]

    @property
    def labels(self) -> tuple[str, ...]:
        """The codes of the species that are heard, in the order of the table."""
        heard = {singer.voice.code for singer in self.singers}
        return tuple(code for code in species_table() if code in heard)


def clips(size: str) -> Sequence[ClipPlan]:
    """List the clips of a size; the small size is part of the default."""
    return _clips() if size == "default" else _small()


@cache
def recordings() -> tuple[Recording, ...]:
    """Plan all recordings, site by site."""
    random = np.random.default_rng(SEED)
    sites = [_site(split, number, random) for split in SPLITS for number in range(SITES[split])]
    nights = [(site, number) for site in sites for number in range(RECORDINGS_PER_SITE[site.split])]
    is_wet = random.random(len(nights)) < WET_SHARE
    is_silent = random.random(len(nights)) < SILENT_SHARE
    callers = _callers(nights, is_wet, is_silent, random)
    return tuple(
        _recording(site, number, bool(wet), codes, random)
        for (site, number), wet, codes in zip(nights, is_wet, callers, strict=True)
    )


def _site(split: Split, number: int, random: np.random.Generator) -> Site:
    biome = BIOMES[number % len(BIOMES)]
    insects = tuple(
        Insect(
            frequency=float(random.uniform(3000, 8000)),
            pulse_rate=float(random.uniform(15, 70)),
            chirp_rate=float(random.uniform(0.5, 3)),
            chirp_share=float(random.choice([0.3, 0.5, 1.0])),
            level_db=float(random.uniform(-58, -42)),
        )
        for _ in range(random.integers(0, 3))
    )
    cicada = Cicada(float(random.uniform(4000, 7500)), float(random.uniform(0.1, 0.3)), float(random.uniform(-55, -42)))
    ambience = Ambience(
        floor_db=float(random.uniform(-60, -48)),
        floor_slope=float(random.uniform(-5, 1)),
        wind_db=float(random.uniform(-55, -35)),
        stream_db=float(random.uniform(-52, -38)) if random.random() < 0.35 else None,
        rain_db=None,
        cicada=cicada if random.random() < 0.35 else None,
        insects=insects,
    )
    room = Room(float(random.uniform(0.2, 0.6)), float(random.uniform(-20, -10)), int(random.integers(2**32)))
    return Site(f"{biome}-{split}-{number:02d}", split, biome, ambience, room)


def _callers(
    nights: list[tuple[Site, int]], is_wet: np.ndarray, is_silent: np.ndarray, random: np.random.Generator
) -> list[list[str]]:
    """Return which species call in which recording: in every split a fixed number of recordings for each."""
    callers: list[list[str]] = [[] for _ in nights]
    for code, species in species_table().items():
        for split in SPLITS:
            homes = _homes(species, [site for site, number in nights if site.split == split and number == 0], random)
            places = [place for place, (site, _) in enumerate(nights) if site in homes and not is_silent[place]]
            weights = np.array(
                [1.0 if is_wet[place] or not species.is_after_rain else WEIGHT_IN_OTHER_WEATHER for place in places]
            )
            n_chosen = max(2, round(ACTIVITY[species.group] * len(places)))
            for place in random.choice(places, n_chosen, replace=False, p=weights / weights.sum()):
                callers[place].append(code)
    return callers


def _homes(species: Species, sites: list[Site], random: np.random.Generator) -> list[Site]:
    suitable = [site for site in sites if species.biome in ("both", site.biome)]
    n_homes = max(FEWEST_SITES, round(PRESENCE[species.group] * len(suitable)))
    return [suitable[place] for place in random.choice(len(suitable), n_homes, replace=False)]


def _recording(site: Site, number: int, is_wet: bool, codes: list[str], random: np.random.Generator) -> Recording:
    males = tuple(male for code in codes for male in _chorus(species_table()[code], random))
    windows = random.choice(int(RECORDING_SECONDS / CLIP_SECONDS), CLIPS_PER_RECORDING, replace=False)
    return Recording(
        name=f"{site.name}-{number:02d}",
        site=site,
        ambience=_tonight(site.ambience, is_wet, random),
        males=males,
        windows=tuple(sorted(int(window) for window in windows)),
    )


def _tonight(usual: Ambience, is_wet: bool, random: np.random.Generator) -> Ambience:
    """Vary a site's background from night to night."""
    rain = float(random.uniform(-45, -30)) if is_wet and random.random() < RAIN_SHARE else None
    return Ambience(
        floor_db=usual.floor_db,
        floor_slope=usual.floor_slope,
        wind_db=usual.wind_db + float(random.uniform(-8, 8)),
        stream_db=None if usual.stream_db is None else usual.stream_db + float(random.uniform(-3, 3)),
        rain_db=rain,
        cicada=usual.cicada if random.random() < 0.6 else None,
        insects=tuple(insect for insect in usual.insects if random.random() < 0.7),
    )


def _chorus(species: Species, random: np.random.Generator) -> list[Male]:
    """Draw the males of a species that can be heard; distances are those of points on a disc."""
    n_males = min(CHORUS[species.group], int(random.geometric(0.28)))
    low, high = DISTANCE_M
    distances = np.sort(np.sqrt(random.uniform(low**2, high**2, n_males)))
    voices = [draw_voice(species, random) for _ in distances]
    levels = [
        -20 * np.log10(distance) - float(excess_loss_db(np.array([voice.frequency]), distance)[0])
        for voice, distance in zip(voices, distances, strict=True)
    ]
    snr = float(random.uniform(*SNR_DB)) + np.array(levels) - max(levels)
    return [
        Male(voice, float(distance), float(above), tuple(note_onsets(voice).tolist()))
        for voice, distance, above in zip(voices, distances, snr, strict=True)
        if above >= AUDIBLE_DB
    ]


@cache
def _clips() -> tuple[ClipPlan, ...]:
    return tuple(
        ClipPlan(
            name=f"{recording.name}-{window:02d}",
            site=recording.site,
            ambience=recording.ambience,
            singers=_singers(recording.males, window * CLIP_SECONDS),
            seed=(SEED, place * 100 + window),
        )
        for place, recording in enumerate(recordings())
        for window in recording.windows
    )


def _singers(males: tuple[Male, ...], start: float) -> tuple[Singer, ...]:
    """Keep the males with notes in a window, and of their notes those that count."""
    singers = []
    for male in males:
        onsets = np.array(male.onsets) - start
        length = male.voice.note_seconds
        inside = np.minimum(onsets + length, CLIP_SECONDS) - np.maximum(onsets, 0)
        heard = onsets[inside >= min(length, HEARD_SECONDS) - 0.5 / SAMPLE_RATE]
        if len(heard):
            singers.append(Singer(male.voice, male.distance, male.snr_db, tuple(heard.tolist())))
    return tuple(singers)


@cache
def _small() -> tuple[ClipPlan, ...]:
    """Pick clips at random, after the first few of every species."""
    chosen: set[str] = set()
    random = np.random.default_rng([SEED, 1])
    for split, n_clips in SMALL.items():
        pool = [clip for clip in _clips() if clip.site.split == split]
        pool = [pool[place] for place in random.permutation(len(pool))]
        cover = {clip.name for code in species_table() for clip in _first(pool, code, SMALL_COVER[split])}
        rest = [clip.name for clip in pool if clip.name not in cover]
        chosen |= cover | set(rest[: n_clips - len(cover)])
    return tuple(clip for clip in _clips() if clip.name in chosen)


def _first(pool: list[ClipPlan], code: str, n_clips: int) -> list[ClipPlan]:
    return [clip for clip in pool if code in clip.labels][:n_clips]
