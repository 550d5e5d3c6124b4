"""The objectives of STONE, S-KEY, ViT-1D and MT2.

Profiles are points of a simplex over 12 pitch classes, moved by k when the sound is transposed by k semitones. Class
profiles of 24 hold a major channel (0 to 11) and a minor one (12 to 23).
"""

import math
from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import distributed
from torch.nn import functional

FIFTHS, SEMITONES = 7, 1  # frequencies of the transform: the circle on which profiles are placed
TEMPERATURE = 0.1
LOG_FLOOR = -100.0
SMALLEST = 1e-10
STEADY = 0.1  # of a mean of vectors of length 1: below it, its direction counts less

Profile = Float[torch.Tensor, "batch 12"]
Scalar = Float[torch.Tensor, ""]


def cpsd(first: Profile, second: Profile, shift: Int64[torch.Tensor, "batch"], omega: int = FIFTHS) -> Scalar:
    """Cross-power spectral density loss: `second` must be `first`, moved `shift` semitones down, and both be sharp.

    STONE (arXiv 2407.07408), section 3.3: with Y the discrete Fourier transform of a profile at the frequency omega,
    the mean of |exp(-2 pi i omega k / 12) - Y_first conj(Y_second)|^2. The paper has half of it; the released code,
    whose weights of the other terms count here, does not. Zero if and only if both profiles are a single class each
    (or of modulus 1 at omega), `shift` apart; a rotation of both changes nothing.
    """
    density = _at(first, omega) * _at(second, omega).conj()
    angle = -2 * math.pi * omega / 12 * shift
    target = torch.complex(angle.cos(), angle.sin())
    return (target - density).abs().square().mean()


def _at(profile: Profile, omega: int) -> torch.Tensor:
    angle = -2 * math.pi * omega / 12 * torch.arange(12, device=profile.device)
    return (profile * angle.cos()).sum(-1) + 1j * (profile * angle.sin()).sum(-1)


def equivariance(
    first: Profile,
    moved: Profile,
    second: Profile,
    shift: Int64[torch.Tensor, "batch"],
    omega: int = FIFTHS,
    pairing: float = 1.0,
) -> Scalar:
    """STONE's sum of three: two segments of a track in one key, one of them moved, against each other.

    Parameters
    ----------
    first, second
        Of two segments at one crop.
    moved
        Of the first segment, cropped `shift` bins higher.
    pairing
        Weight of the two terms that compare two segments; see `pairing_at`.
    """
    still = torch.zeros_like(shift)
    pairs = cpsd(first, second, still, omega) + cpsd(second, moved, shift, omega)
    return cpsd(first, moved, shift, omega) + pairing * pairs


def concentration(profile: Profile, crop: Int64[torch.Tensor, "batch"]) -> Scalar:
    """Return how far the crop alone decides a batch of profiles: 1 if it does, near 0 if the keys of the sounds do.

    The length of the mean of the profiles' phases at the frequency 7, each turned back by its crop. A network that
    represents where a view was cropped, instead of tonality, satisfies the equivariant task with the same phase for all
    music, so that a low loss is no sign of health. With keys that are independent and equally frequent, it is about
    n ** -0.5 for n profiles.

    Parameters
    ----------
    profile
        Of the first segments.
    crop
        Where the views of these segments begin, in semitones.
    """
    phase = _at(profile, FIFTHS)
    angle = -2 * math.pi * FIFTHS / 12 * crop
    return (phase / phase.abs().clamp(min=SMALLEST) * torch.complex(angle.cos(), angle.sin())).mean().abs().detach()


def turned_back(profile: Profile, relation: Int64[torch.Tensor, "batch"]) -> Profile:
    """Return the profiles that the sounds would have without their transposition.

    Parameters
    ----------
    profile
        Of sounds that are `relation` semitones higher than others.
    relation
        In semitones.
    """
    places = torch.arange(12, device=profile.device)[None] + relation[:, None]
    return profile.gather(1, places % 12)


def pairing_at(step: int, alone: int) -> float:
    """Weight of what compares two segments: 0 for `alone` steps, then rising to 1 over as many more.

    Ours. A network that gives every segment the same profile satisfies the term of two segments at one crop, and
    reaches a sum of 2.78 where it tells nothing (a uniform profile: 3). Networks that begin with all three terms at
    once were seen to stay there for as long as they were watched; a segment against itself, moved, punishes it.
    """
    return min(1.0, max(0.0, (step - alone) / alone)) if alone else 1.0


def nt_xent(
    first: Float[torch.Tensor, "batch dim"], second: Float[torch.Tensor, "batch dim"], temperature: float = TEMPERATURE
) -> Scalar:
    """Normalised-temperature cross-entropy of pairs against all other 2 batch - 2 vectors.

    Where several processes train together, the others' vectors count as well.
    """
    vectors = functional.normalize(torch.cat([gathered(first), gathered(second)]), dim=-1)
    similarity = (vectors @ vectors.T / temperature).fill_diagonal_(-torch.inf)
    n_pairs = len(vectors) // 2
    partner = torch.arange(2 * n_pairs, device=vectors.device).roll(n_pairs)
    return functional.cross_entropy(similarity, partner)


def gathered(local: torch.Tensor) -> torch.Tensor:
    """Collect a tensor from all processes, along the batch; itself where there is one process."""
    if not distributed.is_initialized():
        return local
    from torch.distributed.nn.functional import all_gather

    return torch.cat(list(all_gather(local)))


def signature(profile: Float[torch.Tensor, "batch 24"]) -> Profile:
    """Return the key signature: both channels added."""
    return profile[:, :12] + profile[:, 12:]


def major(profile: Float[torch.Tensor, "batch 24"]) -> Float[torch.Tensor, "batch"]:
    """Return the probability of the major mode."""
    return profile[:, :12].sum(-1)


def pseudo_mode(signatures: Profile, chroma: Profile, relative: Literal[-3, 3] = -3) -> Float[torch.Tensor, "batch"]:
    """S-KEY's guess of the mode (arXiv 2501.12907, equation 5): 1 where the sound is major.

    At the signature's maximum q, major if the chroma is stronger at q than at the relative minor's tonic.

    Parameters
    ----------
    chroma
        Mean over octaves and time of the front end, cropped as the network's input was.
    relative
        Where the relative minor's tonic lies: -3 as the paper has it, 3 as the released code has it.
    """
    tonic = signatures.argmax(dim=-1, keepdim=True)
    minor = (tonic + relative) % 12
    return (chroma.gather(1, tonic) > chroma.gather(1, minor)).squeeze(1).float().detach()


def turned_by(signatures: Profile, chroma: Profile) -> Scalar:
    """Return one minus the cosine of the angle between the profiles' circle of fifths and that of the sounds, 0 to 2.

    Ours; it says which class is which pitch class, which the equivariant task leaves open. At the frequency 7, the
    phase of a profile is its place on the circle of fifths, and that of a chroma the middle of the scale that sounds,
    which lies two fifths above its major tonic (C major reaches from F to B; its middle is D). Only the phase of the
    mean over the batch counts: what single sounds are is left open.
    """
    sounding = _at(chroma, FIFTHS)
    mean = (_at(signatures, FIFTHS) * sounding.conj() / sounding.abs().clamp(min=SMALLEST)).mean()
    middle = torch.tensor(2 * math.pi * FIFTHS * 2 / 12)  # of a scale: two semitones, too, above the tonic
    expected = torch.complex(middle.cos(), middle.sin()).to(mean.device)
    return 1 - (mean * expected.conj()).real / (mean.abs() + STEADY)


def mode_entropy(target: Float[torch.Tensor, "batch"], estimate: Float[torch.Tensor, "batch"]) -> Scalar:
    """Binary cross-entropy, its logarithms cut at -100 (S-KEY's equation 6, for one view)."""
    yes = estimate.log().clamp(min=LOG_FLOOR)
    no = (1 - estimate).log().clamp(min=LOG_FLOOR)
    return -(target * yes + (1 - target) * no).mean()


def mode_balance(*modes: Float[torch.Tensor, "batch"]) -> Scalar:
    """S-KEY's equation 7: half of a batch is major. The squared distance of the mean from one half; at most 0.25."""
    return (torch.cat([gathered(mode) for mode in modes]).mean() - 0.5).square()


def mode_agreement(
    first: Float[torch.Tensor, "batch"], moved: Float[torch.Tensor, "batch"], second: Float[torch.Tensor, "batch"]
) -> Scalar:
    """24-STONE's mode term: three views of a track agree on the mode.

    Where the first is the truth (Semi-TONE and Sup-TONE), the others learn it. As in github.com/deezer/stone @9179423.
    """
    return (
        mode_entropy(first, moved)
        + 0.5 * mode_entropy(second, moved)
        + 0.5 * mode_entropy(moved, second)
        + mode_entropy(first, second)
    )
