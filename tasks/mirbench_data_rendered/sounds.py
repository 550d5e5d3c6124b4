"""Which sounds play in which split: programs of two SoundFonts and patches of a synthesiser of our own.

No sound is in two splits. Training and validation clips play different programs of TimGM6mb, test clips play programs
of Merlin only, and each split has synthesiser patches and a drum kit of its own. Merlin shares samples with TimGM6mb:
45 of its first 80 programs are equal to a correlation of .8 or more (largest value of the cross-correlation of the
same note, over MIDI pitches 43, 55, 67 and 79), and so is most of its drum kit. Only programs below .85 are listed
here, and none of its drums; `tests/tasks/test_data_rendered.py` measures it again.
"""

from dataclasses import dataclass
from typing import Literal

from mirbench_data_rendered.patches import PATCHES, TEST, TRAIN, VALID, Patch

Source = Literal["TimGM6mb", "Merlin", "synthesiser"]
FAMILIES = (
    "piano",
    "chromatic percussion",
    "organ",
    "guitar",
    "bass",
    "strings",
    "voices",
    "brass",
    "reed",
    "pipe",
)
DRUMS = "drums"
LOW = ("bass",)  # families that play bass lines only

# General MIDI programs, counted from 0. Refused for their pitch, after listening to them: of TimGM6mb 78 (whistle,
# three semitones sharp) and 21 (accordion, whose second reed is a semitone flat); of Merlin 9 (glockenspiel, a fourth
# high) and 43 (contrabass, silent above MIDI pitch 60); of both, effects and percussion.
TRAIN_PROGRAMS = {
    "piano": (0, 2, 4, 7),
    "chromatic percussion": (8, 11, 12),
    "organ": (16, 18, 19, 22),
    "guitar": (24, 26, 27, 30),
    "bass": (32, 34, 35, 38),
    "strings": (40, 42, 45, 48, 50),
    "voices": (52, 54),
    "brass": (56, 58, 60, 62),
    "reed": (64, 66, 68, 71),
    "pipe": (72, 73, 75),
}
VALID_PROGRAMS = {
    "piano": (1, 3, 5),
    "chromatic percussion": (10, 13),
    "organ": (17, 20, 23),
    "guitar": (25, 28, 29),
    "bass": (33, 36, 39),
    "strings": (41, 43, 49),
    "voices": (53,),
    "brass": (57, 59, 61),
    "reed": (65, 67, 69, 70),
    "pipe": (74, 76, 79),
}
TEST_PROGRAMS = {
    "piano": (1, 3, 6),
    "chromatic percussion": (10, 13, 14),
    "organ": (19, 21),
    "guitar": (29,),
    "bass": (33, 37),
    "strings": (40, 41, 44, 45, 48, 49, 50, 51),
    "voices": (52, 53),
    "brass": (56, 60),
    "reed": (64, 65, 66, 67, 71),
    "pipe": (73, 76, 77),
}


@dataclass(frozen=True)
class Sound:
    """Sound that plays one part of a clip.

    Attributes
    ----------
    source
        A SoundFont, or the synthesiser.
    program
        General MIDI program, or the place of a patch in `PATCHES`; without meaning for the drums of a SoundFont.
    family
        The tag of the sound: one of `FAMILIES`, or "drums".
    """

    source: Source
    program: int
    family: str


def _sounds(font: Source, programs: dict[str, tuple[int, ...]], patches: tuple[int, ...]) -> dict[str, list[Sound]]:
    found = {family: [Sound(font, program, family) for program in programs[family]] for family in FAMILIES}
    for place in patches:
        patch: Patch = PATCHES[place]
        found.setdefault(patch.family, []).append(Sound("synthesiser", place, patch.family))
    return found


# By split and family.
SOUNDS: dict[str, dict[str, list[Sound]]] = {
    "train": _sounds("TimGM6mb", TRAIN_PROGRAMS, TRAIN),
    "valid": _sounds("TimGM6mb", VALID_PROGRAMS, VALID),
    "test": _sounds("Merlin", TEST_PROGRAMS, TEST),
}
SOUNDS["train"][DRUMS].append(Sound("TimGM6mb", 0, DRUMS))  # the standard kit
