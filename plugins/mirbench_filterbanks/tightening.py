"""Making a bank tight: descent on an objective, or the canonical tight bank, cut to the kernels' length."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Inexact

from mirbench_filterbanks.bounds import frame_blocks, frame_bounds, shortest_signal
from mirbench_filterbanks.convolution import mean_bound
from mirbench_filterbanks.kernels import as_real

Kernels = Inexact[torch.Tensor, "channel tap"]
Objective = Callable[[Kernels, int], Float[torch.Tensor, ""]]
StepRule = Literal["polyak", "cumulative", "printed"]
CUMULATIVE_POWER = 0.01  # hybra 2026.2.1
PRINTED_POWER = 0.1  # arXiv 2507.06152
SMALLEST_EXCESS = 1e-15  # kappa - 1 below it is rounding


@dataclass(frozen=True)
class Tightened:
    """A bank and how it was reached.

    Attributes
    ----------
    kernels
        The last ones.
    kappas
        The exact condition number before each step and after the last.
    losses
        The objective before each step.
    """

    kernels: Kernels
    kappas: list[float]
    losses: list[float]


def tighten(
    kernels: Kernels,
    hop_length: int,
    objective: Objective,
    *,
    step_rule: StepRule = "polyak",
    learning_rate: float = 1e-3,
    n_steps: int = 250,
    until: float = 0.0,
) -> Tightened:
    """Descend an objective with a step that shrinks as the bank becomes tight.

    The objectives of the paper have a kink at their minimum, where their gradient does not vanish: a constant step
    oscillates. Of the rules, `printed` multiplies the learning rate by (kappa - 1)^0.1, as the paper does, and stalls;
    `cumulative` multiplies it by (kappa - 1)^0.01 once more at each step, as the authors' package does; `polyak` takes
    the loss over the squared norm of the gradient (B. T. Polyak, *Introduction to Optimization*, 1987), which needs no
    learning rate because the minimum is known to be 0.

    Parameters
    ----------
    kernels
        Real or complex; stepped in double precision.
    hop_length
        The stride in samples.
    objective
        One of `objectives`, called with kernels and hop; its minimum is 0.
    step_rule
        One of the three.
    learning_rate
        Not used by `polyak`.
    n_steps
        At most.
    until
        Stop where kappa - 1 is not above this.

    Raises
    ------
    ValueError
        Where the kernels diverge.
    """
    kernels = kernels.detach().to(torch.complex128 if kernels.is_complex() else torch.float64).clone()
    n_samples = shortest_signal(kernels.shape[-1], hop_length)
    kappas, losses = [frame_bounds(kernels, hop_length, n_samples).kappa], []
    factor = 1.0
    for _ in range(n_steps):
        excess = max(kappas[-1] - 1, SMALLEST_EXCESS)
        if excess <= until:
            break
        kernels.requires_grad_()
        loss = objective(kernels, hop_length)
        (gradient,) = torch.autograd.grad(loss, kernels)
        losses.append(float(loss.detach()))
        factor *= excess**CUMULATIVE_POWER
        step = {
            "polyak": losses[-1] / max(float(gradient.abs().square().sum()), torch.finfo(torch.float64).tiny),
            "cumulative": learning_rate * factor,
            "printed": learning_rate * excess**PRINTED_POWER,
        }[step_rule]
        kernels = (kernels - step * gradient).detach()
        if not kernels.isfinite().all():
            raise ValueError(
                f"step {len(losses)} with step rule {step_rule!r} and learning rate {learning_rate} diverged; use a"
                " smaller rate, or 'polyak' on a bank that is a frame"
            )
        kappas.append(frame_bounds(kernels, hop_length, n_samples).kappa)
    return Tightened(kernels.detach(), kappas, losses)


def tighten_canonically(kernels: Kernels, hop_length: int, n_rounds: int = 20) -> Kernels:
    """Alternate between the canonical tight bank, S^(-1/2) applied to all kernels, and kernels of the given length.

    The canonical tight bank is Parseval and the closest to the given one; its kernels are as long as the signal, and
    cutting them undoes a part. Slow after the first rounds, but the bank stays close to where it was.

    Parameters
    ----------
    kernels
        Real or complex, for real signals; computed in double precision. The bank is a frame.
    hop_length
        The stride in samples.
    n_rounds
        How often.

    Raises
    ------
    ValueError
        Where some signal has no coefficients, so that S has no inverse.
    """
    n_taps = kernels.shape[-1]
    n_samples = shortest_signal(n_taps, hop_length)
    if frame_bounds(kernels, hop_length, n_samples).lower == 0:
        raise ValueError(
            f"{len(kernels)} channels with a hop of {hop_length} are no frame; expected kernels that cover all"
            " frequencies, at least as many real channels as the hop"
        )
    real = as_real(kernels).double()
    for _ in range(n_rounds):
        blocks = frame_blocks(real, hop_length, n_samples)
        eigenvalues, vectors = torch.linalg.eigh(blocks.conj())
        root = vectors / eigenvalues.sqrt()[:, None] @ vectors.mH
        spectra = torch.fft.fft(real, n_samples).unflatten(-1, (hop_length, -1))
        spectra = torch.einsum("kab,jbk->jak", root, spectra).flatten(1)
        real = torch.fft.ifft(spectra).real[:, :n_taps]
    return torch.complex(*real.chunk(2)) if kernels.is_complex() else real


def normalised(kernels: Kernels, hop_length: int) -> Kernels:
    """Return kernels over the root of their mean bound: a tight bank becomes Parseval, A = B = 1.

    Parameters
    ----------
    kernels
        Real or complex.
    hop_length
        The stride in samples.
    """
    return kernels / mean_bound(kernels, hop_length).sqrt()
