"""Plan of all clips, sounds and rooms: the whole data set as a pure function of one seed.

40 rooms of 15 clips, 24 rooms to train on, 6 to validate, 10 to test; a room's devices, floor, noise and reverberation
are its own. The small size is the first 2 clips of rooms to train on, and the first 3 of the others.
"""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from mirbench.domain import Split
from mirbench_data_hospital_synth.alarms import (
    BETWEEN_BURSTS,
    MELODIES,
    PRIORITIES,
    Alarm,
    AlarmMaker,
    Priority,
    draw_maker,
)
from mirbench_data_hospital_synth.background import (
    Background,
    HeartBeeps,
    Rustling,
    Typing,
    draw_background,
    draw_beeps,
    draw_distractor,
)
from mirbench_data_hospital_synth.impacts import Door, Floor, Footsteps, draw_door, draw_floor, draw_steps
from mirbench_data_hospital_synth.machines import (
    Trolley,
    TrolleyModel,
    Ventilator,
    VentilatorModel,
    draw_breaths,
    draw_passage,
    draw_trolley,
    draw_ventilator,
)
from mirbench_data_hospital_synth.room import Acoustics, draw_acoustics
from mirbench_data_hospital_synth.signals import SAMPLE_RATE, Triple, triple
from mirbench_data_hospital_synth.voices import Cry, Voice, draw_cry, draw_voice

SEED = 60601
CLIP_SECONDS = 10.0
ROOMS: dict[Split, int] = {"train": 24, "valid": 6, "test": 10}
CLIPS_PER_ROOM = 15
SMALL_PER_ROOM: dict[Split, int] = {"train": 2, "valid": 3, "test": 3}

ALARMS = {f"alarm {priority} priority": priority for priority in PRIORITIES}
LABELS = tuple(sorted([*ALARMS, "cry-like", "door", "footsteps", "trolley", "ventilator", "voice-like"]))
# how often a label is drawn, and its usual level against the background in its bands, in dB
SHARES = {
    "alarm high priority": (1.6, 13.0),
    "alarm medium priority": (1.7, 13.0),
    "alarm low priority": (1.6, 13.0),
    "cry-like": (1.3, 13.0),
    "door": (1.2, 12.0),
    "footsteps": (1.1, 10.0),
    "trolley": (1.9, 10.0),
    "ventilator": (1.7, 10.0),
    "voice-like": (1.1, 13.0),
}
SPREAD_DB = 6.0
LOWEST_DB, HIGHEST_DB = -5.0, 20.0  # what would be softer is left out
MAX_EVENTS = 6
MAX_POLYPHONY = 4
SAME_LABEL_GAP = 1.0
SHORTEST = 0.1
# Parts of a day: chances of 0 to 5 things that happen in a clip, and how much more often than usual labels occur.
SHIFTS: dict[str, tuple[tuple[float, ...], dict[str, float]]] = {
    "round": ((0.02, 0.06, 0.12, 0.2, 0.28, 0.32), {"footsteps": 2.0, "voice-like": 2.5, "door": 1.5, "trolley": 1.5}),
    "day": ((0.06, 0.12, 0.18, 0.22, 0.22, 0.2), {}),
    "evening": ((0.1, 0.2, 0.25, 0.2, 0.15, 0.1), {"cry-like": 1.5, "trolley": 0.5}),
    "night": ((0.2, 0.3, 0.25, 0.15, 0.07, 0.03), {"voice-like": 0.4, "trolley": 0.2, "ventilator": 1.5}),
}
VISIT_SHARE = 0.15  # of the clips in which someone comes in: a door, then footsteps, then a voice
VISIT = ("door", "footsteps", "voice-like")
VISIT_GAP = (0.2, 1.2)  # seconds between the onsets of a visit
FIRST_ONSET = 0.05  # seconds; every event begins inside its clip
NO_LABEL = ""

AnySound = Alarm | Ventilator | Trolley | Footsteps | Door | Voice | Cry | HeartBeeps | Typing | Rustling


@dataclass(frozen=True)
class Room:
    """A room and what stands in it.

    Attributes
    ----------
    is_neonatal
        Whether ventilator and heart are a newborn's.
    infant
        Mean pitch of the cries, in Hz.
    panel, latch, creak
        Of the door.
    monitor
        The beeps of the monitor; None where it is muted.
    """

    number: int
    split: Split
    acoustics: Acoustics
    background: Background
    maker: AlarmMaker
    is_neonatal: bool
    ventilator: VentilatorModel
    trolley: TrolleyModel
    floor: Floor
    infant: float
    panel: Triple
    latch: Triple
    creak: float
    monitor: HeartBeeps | None

    @property
    def name(self) -> str:
        return f"room{self.number:02d}"


@dataclass(frozen=True)
class Event:
    """A sound in a clip.

    Attributes
    ----------
    label
        Empty for what has none.
    onset
        From the beginning of the clip; inside it.
    position
        Number of the place in the room.
    level_db
        Against the background, in the event's octave bands and over its duration.
    """

    label: str
    sound: AnySound
    onset: float
    position: int
    level_db: float
    seed: int

    @property
    def interval(self) -> tuple[float, float]:
        """Return from when to when it sounds within the clip."""
        return max(0.0, self.onset), min(CLIP_SECONDS, self.onset + self.sound.duration)


@dataclass(frozen=True)
class ClipPlan:
    """Everything that a clip's sound and labels follow from."""

    room: Room
    number: int
    events: tuple[Event, ...]
    seed: int

    @property
    def name(self) -> str:
        return f"{self.room.name}-{self.number:02d}"

    @property
    def labelled(self) -> list[Event]:
        """The events that have a label, by onset."""
        return sorted((event for event in self.events if event.label), key=lambda event: (event.interval, event.label))


@cache
def clips(size: str) -> tuple[ClipPlan, ...]:
    """List the clips of a size."""
    everything = tuple(plan_clip(room, number) for room in rooms() for number in range(CLIPS_PER_ROOM))
    return tuple(clip for clip in everything if size == "default" or clip.number < SMALL_PER_ROOM[clip.room.split])


@cache
def rooms() -> tuple[Room, ...]:
    """Draw all rooms, those to train on first."""
    splits = [split for split, count in ROOMS.items() for _ in range(count)]
    return tuple(_draw_room(number, split) for number, split in enumerate(splits))


def _draw_room(number: int, split: Split) -> Room:
    random = np.random.default_rng([SEED, number])
    is_neonatal = bool(random.random() < 0.6)
    panel = random.uniform(70, 130) * np.array([1, random.uniform(1.6, 2.2), random.uniform(2.6, 3.6)])
    latch = random.uniform(900, 2200) * np.array([1, random.uniform(1.5, 2), random.uniform(2.3, 3)])
    return Room(
        number=number,
        split=split,
        acoustics=draw_acoustics(random),
        background=draw_background(random),
        maker=draw_maker(random),
        is_neonatal=is_neonatal,
        ventilator=draw_ventilator(random, is_neonatal),
        trolley=draw_trolley(random),
        floor=draw_floor(random),
        infant=float(np.clip(random.normal(470, 35), 400, 520)),
        panel=triple(panel),
        latch=triple(latch),
        creak=float(random.choice([0.0, random.uniform(0.4, 1.0)])),
        monitor=draw_beeps(random, CLIP_SECONDS, is_neonatal) if random.random() < 0.6 else None,
    )


def plan_clip(room: Room, number: int) -> ClipPlan:
    """Draw what happens in a clip; what does not fit is dropped."""
    random = np.random.default_rng([SEED, room.number, number])
    draws, factors = SHIFTS[str(random.choice(list(SHIFTS)))]
    weights = np.array([SHARES[label][0] * factors.get(label, 1.0) for label in LABELS])
    planned: list[Event] = []
    if random.random() < VISIT_SHARE:
        planned += [event for event in _draw_visit(random, room) if fits(event, [])]
    for label in random.choice(LABELS, random.choice(len(draws), p=draws), p=weights / weights.sum()):
        for event in _draw_events(random, room, str(label)):
            if fits(event, planned):
                planned.append(event)
    return ClipPlan(room, number, (*planned, *_unlabelled(random, room)), int(random.integers(2**31)))


def fits(event: Event, planned: list[Event]) -> bool:
    """Return whether an event is audible, keeps its distance from its like, and does not crowd the clip."""
    onset, offset = event.interval
    if event.level_db < LOWEST_DB or offset - onset < SHORTEST or len(planned) >= MAX_EVENTS:
        return False
    for other in planned:
        begin, end = other.interval
        if other.label == event.label and begin - SAME_LABEL_GAP < offset and onset < end + SAME_LABEL_GAP:
            return False
    at_once = [other.interval for other in planned if other.interval[0] < offset and onset < other.interval[1]]
    instants = [onset, *(begin for begin, _ in at_once if begin > onset)]
    return all(sum(begin <= t < end for begin, end in at_once) < MAX_POLYPHONY for t in instants)


def _draw_events(random: np.random.Generator, room: Room, label: str) -> list[Event]:
    """Draw one thing that happens: a single event, or some bursts of an alarm."""
    sound = _draw_sound(random, room, label)
    position = int(random.integers(len(room.acoustics.positions)))
    loss = 6 * np.log2(room.acoustics.positions[position].distance / 2.5)
    level = min(random.normal(SHARES[label][1] - loss, SPREAD_DB), HIGHEST_DB)
    first = Event(label, sound, _draw_onset(random, label, sound), position, float(level), int(random.integers(2**31)))
    if label not in ALARMS or random.random() < 0.4:
        return [first]
    shortest, longest = BETWEEN_BURSTS[ALARMS[label]]
    second = first.onset + sound.duration + float(random.uniform(shortest, min(longest, 2 * shortest)))
    second = _on_sample(second)
    return [first] if second + sound.duration > CLIP_SECONDS else [first, replace(first, onset=second)]


def _draw_visit(random: np.random.Generator, room: Room) -> list[Event]:
    """Draw a door, footsteps and a voice that begin one after another."""
    events, onset = [], float(random.uniform(FIRST_ONSET, CLIP_SECONDS / 2))
    for label in VISIT:
        [event, *_] = _draw_events(random, room, label)
        events.append(replace(event, onset=_on_sample(onset)))
        onset += float(random.uniform(*VISIT_GAP))
    return events


def _draw_onset(random: np.random.Generator, label: str, sound: AnySound) -> float:
    """Draw an onset inside the clip; alarms and doors end there too, the others may last over its end by half."""
    over = 0.0 if label in ALARMS or label == "door" else sound.duration / 2
    last = max(FIRST_ONSET, CLIP_SECONDS - sound.duration + over)
    return _on_sample(float(random.uniform(FIRST_ONSET, last)))


def _draw_sound(random: np.random.Generator, room: Room, label: str) -> AnySound:
    if label in ALARMS:
        priority: Priority = ALARMS[label]
        return Alarm(priority, str(random.choice(list(MELODIES))), room.maker)
    if label == "ventilator":
        return draw_breaths(random, room.ventilator)
    if label == "trolley":
        return draw_passage(random, room.trolley)
    if label == "footsteps":
        return draw_steps(random, room.floor)
    if label == "door":
        return draw_door(random, room.panel, room.latch, room.creak)
    return draw_voice(random) if label == "voice-like" else draw_cry(random, room.infant)


def _unlabelled(random: np.random.Generator, room: Room) -> list[Event]:
    """Draw what sounds besides: the monitor in half of its room's clips, typing or plastic in a third of all."""
    sounds: list[tuple[AnySound, float]] = []
    if room.monitor and random.random() < 0.5:
        sounds.append((room.monitor, 0.0))
    if random.random() < 1 / 3:
        distractor = draw_distractor(random)
        sounds.append((distractor, _on_sample(float(random.uniform(0, CLIP_SECONDS - distractor.duration)))))
    return [
        Event(NO_LABEL, sound, onset, 0, float(random.uniform(LOWEST_DB, 8)), int(random.integers(2**31)))
        for sound, onset in sounds
    ]


def _on_sample(time: float) -> float:
    return round(time * SAMPLE_RATE) / SAMPLE_RATE
