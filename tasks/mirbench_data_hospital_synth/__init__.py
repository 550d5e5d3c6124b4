"""hospital-synth: sounds of a (neonatal) intensive-care room, synthesised from standards and physics.

Nothing here is a recording. Room noise, alarms, machines, steps and voices are computed; the labels are exact because
they are the plan by which the sound was made.

Events
------
========================= ==============================================================================================
``alarm high priority``   a burst of ten pulses of IEC 60601-1-8, from the first pulse's onset to the last one's offset
``alarm medium priority`` a burst of three pulses
``alarm low priority``    one or two pulses
``cry-like``              harmonic arcs as in a newborn's cry, with gaps for breath: a bout of 1 to 4 bursts
``door``                  latch, creaking swing and thump
``footsteps``             a walk of 4 to 10 steps on a hard floor
``trolley``               rolling noise of castors, modulated by the wheels, with rattles
``ventilator``            a run of breathing cycles of a ventilator for newborns or for adults
``voice-like``            syllables of a source-filter voice with random vowels; it says nothing and is not speech
========================= ==============================================================================================

An event lasts while its dry signal sounds (to 40 dB below its loudest); the room's reverberation is not part of it.
Bursts of one alarm are separate events: they are at least 2.5 s apart. Breathing pauses of a cry, or steps of a walk,
do not end the event. Events reach over the clip's borders (alarms and doors do not) and are cut there. Events of
different labels overlap, up to four at a time; events of one label are at least 1 s apart. What would lie more than
5 dB below the background in its own octave bands is left out of the sound: no label is inaudible by plan.

Without a label there sound: ventilation and oxygen flow (steady noise with hum), a monitor's beep at every heart beat,
typing, and rustling plastic.

Sources
-------
Each number stands with its source in the module that uses it: `alarms` (IEC 60601-1-8), `machines`, `impacts`,
`voices`, `background`, `room`. The text of IEC 60601-1-8 itself was not at hand; its numbers are taken from what others
publish of it, and what could not be checked even there says so.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mirbench import DatasetRequest, DatasetSpec, hookimpl

if TYPE_CHECKING:
    from mirbench import Dataset


def load(request: DatasetRequest) -> "Dataset":
    """Load what `prepare` synthesised."""
    from mirbench_data_hospital_synth.dataset import HospitalSynth

    return HospitalSynth(request)


def prepare(request: DatasetRequest) -> None:
    """Synthesise what is missing."""
    from mirbench_data_hospital_synth.dataset import prepare

    prepare(request)


@hookimpl
def mirbench_datasets() -> Iterator[DatasetSpec]:
    """Offer the data set."""
    yield DatasetSpec(
        name="hospital-synth",
        load=load,
        prepare=prepare,
        tasks=("hospital",),
        sizes=("default", "small"),
        is_embedded=True,
        description="600 clips of 10 s (100 minutes) of 40 synthetic intensive-care rooms, made on this machine",
        license="MIT: synthesised, no recordings",
        citation=(
            "IEC 60601-1-8:2006+A1:2012, alarm systems in medical electrical equipment; "
            "Michelsson, Eklund, Leppanen and Lyytinen, Cry characteristics of 172 healthy 1- to 7-day-old infants, "
            "Folia Phoniatrica et Logopaedica 2002"
        ),
    )
