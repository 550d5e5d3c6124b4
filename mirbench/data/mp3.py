"""Lengths of MP3 files whose headers do not hold one.

Most encoders write a first frame that holds the number of frames ("Xing", "Info" or "VBRI") and no audio. Where it is
missing, libsndfile divides the size of the file by the size of the first frame: a tag with a picture or two minutes of
44.1 kHz (whose frames differ by a byte) make it too long, a variable bit rate too long or too short. Here frames are
counted instead.

References
----------
ISO/IEC 11172-3, 2.4.1.3 (header of a frame); ID3 tag version 2.4.0, 3.1; APE tags specification 2.000.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from mirbench.errors import AudioError

BIT_RATES = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)  # kbit/s, MPEG-1 layer III
BIT_RATES_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)  # MPEG-2 and 2.5
SAMPLE_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}  # by version bits
MAX_JUNK_SECONDS = 0.1  # of bytes that are neither frames nor tags; more is damage
N_ID3, N_ID3V1, N_APE = 10, 128, 32


@dataclass(frozen=True)
class Frame:
    """Content of a frame's header: bytes, samples, and where its audio data begin."""

    n_bytes: int
    n_samples: int
    sample_rate: int
    data: int


@dataclass(frozen=True)
class Counted:
    """The frames of a file, and how many samples they decode to.

    Zeros stand behind the frames where they are fewer than libsndfile expects from the first one: its estimate must not
    be too short, since it reads nothing beyond.
    """

    content: bytes
    n_samples: int


def counted(path: Path) -> Counted | None:
    """Return the frames of an MP3 file whose first one does not hold their number; None of any other file.

    Raises
    ------
    AudioError
        If more than a tenth of a second of it is neither frames nor tags.
    """
    with path.open("rb") as file:
        begin = file.read(N_ID3)
        if not (begin.startswith(b"ID3") or _is_sync(begin)):
            return None
        content = begin + file.read()
    first = _after_tags(content, 0)
    while first < len(content) and content[first] == 0:  # padding of a tag
        first += 1
    frame = _frame(content[first : first + 4])
    if frame is None or _holds_length(content, first, frame):
        return None
    places, n_junk = _walk(content, first)
    if not places:
        return None
    n_bytes, n_samples = sum(end - begin for begin, end in places), len(places) * frame.n_samples
    if n_junk * n_samples > MAX_JUNK_SECONDS * frame.sample_rate * n_bytes:
        raise AudioError(
            f"{path}: damaged or cut off: {n_junk} of {len(content)} bytes are neither frames of MP3 nor tags"
        )
    frames = content[first : places[-1][1]]
    return Counted(frames.ljust((len(places) + 2) * frame.n_bytes, b"\0"), n_samples)


def _walk(content: bytes, place: int) -> tuple[list[tuple[int, int]], int]:
    """Find all frames like the first one; returns where they begin and end, and how many bytes are no part of any."""
    kind = content[place : place + 4]
    places: list[tuple[int, int]] = []
    n_junk = 0
    while place + 4 <= len(content):
        frame = _frame(content[place : place + 4]) if _is_alike(content, place, kind) else None
        if frame is not None and place + frame.n_bytes <= len(content):
            places.append((place, place + frame.n_bytes))
            place += frame.n_bytes
            continue
        after = _after_tags(content, place)
        if after == place:
            after = _next_frame(content, place + 1, kind)
            n_junk += after - place
        place = after
    return places, n_junk


def _next_frame(content: bytes, place: int, kind: bytes) -> int:
    """Find two frames in a row, a tag, or the end."""
    while (place := content.find(b"\xff", place)) >= 0:
        frame = _frame(content[place : place + 4]) if _is_alike(content, place, kind) else None
        if frame is not None and _is_alike(content, place + frame.n_bytes, kind):
            return place
        place += 1
    return len(content)


def _is_sync(header: bytes) -> bool:
    return len(header) > 1 and header[0] == 0xFF and header[1] & 0xE0 == 0xE0


def _is_alike(content: bytes, place: int, kind: bytes) -> bool:
    """Test whether a frame of the same version, layer and sample rate begins here."""
    return (
        place + 4 <= len(content)
        and content[place] == 0xFF
        and (content[place + 1] ^ kind[1]) & 0xFE == 0
        and (content[place + 2] ^ kind[2]) & 0x0C == 0
    )


@cache
def _frame(header: bytes) -> Frame | None:
    """Read the header of a frame; None if it is none of layer III, or of a free bit rate."""
    if len(header) < 4 or not _is_sync(header):
        return None
    version, layer = header[1] >> 3 & 3, header[1] >> 1 & 3
    bit_rate, rate = header[2] >> 4, header[2] >> 2 & 3
    if layer != 1 or version == 1 or bit_rate in (0, 15) or rate == 3:
        return None
    is_first = version == 3
    sample_rate = SAMPLE_RATES[version][rate]
    kilobits = (BIT_RATES if is_first else BIT_RATES_2)[bit_rate]
    n_bytes = (144 if is_first else 72) * kilobits * 1000 // sample_rate + (header[2] >> 1 & 1)
    is_mono = header[3] >> 6 == 3
    side = (17 if is_mono else 32) if is_first else (9 if is_mono else 17)
    return Frame(n_bytes, 1152 if is_first else 576, sample_rate, 4 + side)


def _holds_length(content: bytes, place: int, frame: Frame) -> bool:
    name = content[place + frame.data : place + frame.data + 8]
    has_frames = name[:4] in (b"Xing", b"Info") and name[-1] & 1 == 1
    return has_frames or content[place + 36 : place + 40] == b"VBRI"


def _after_tags(content: bytes, place: int) -> int:
    """Skip tags of ID3 (both versions) and APE."""
    while True:
        if content[place : place + 3] == b"ID3" and place + N_ID3 <= len(content):
            size = content[place + 6 : place + N_ID3]
            n_bytes = N_ID3 + sum((byte & 127) << shift for byte, shift in zip(size, (21, 14, 7, 0), strict=True))
            n_bytes += N_ID3 if content[place + 5] & 0x10 else 0  # a footer
        elif content[place : place + 3] == b"TAG" and len(content) - place == N_ID3V1:
            n_bytes = N_ID3V1
        elif content[place : place + 8] == b"APETAGEX":
            n_bytes = N_APE + int.from_bytes(content[place + 12 : place + 16], "little")
        else:
            return place
        place = min(place + n_bytes, len(content))
