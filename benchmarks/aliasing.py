"""Measure what the paper on aliasing in convnets (arXiv 2507.06152) proves and proposes; prints Markdown tables.

Run ``python benchmarks/aliasing.py [--layers N] [--steps N] [--draws N]``: about a CPU minute, one thread. It shows
whether bounds hold on random layers, how tight the objectives and step rules make a bank, what a step costs against the
dense spectral objective, and how far the closed forms of random layers are from draws. Everything is in double
precision; seeds are fixed.
"""

import argparse
import time
from collections.abc import Callable, Iterable

import torch

from mirbench_filterbanks import aliasing, objectives, statistics
from mirbench_filterbanks.bounds import frame_bounds, shortest_signal
from mirbench_filterbanks.tightening import Objective, StepRule, tighten

LAYERS, STEPS, DRAWS = 200, 250, 4000
LENGTHS = (1, 2, 5)  # of signals, over the shortest at which the alias terms are known
ROUNDING = 1e-12
TIGHTENED = ((256, 8, 2), (128, 64, 16))  # channels, taps, stride
TIMED = ((256, 8, 2), (256, 64, 2), (128, 64, 16), (256, 256, 64))
OBJECTIVES: dict[str, Objective] = {
    "L_G": objectives.alias_objective,
    "L_G^": objectives.coefficient_objective,
    "smooth": objectives.smooth_objective,
    "kappa - 1": objectives.kappa_penalty,
    "spectral, in blocks": objectives.spectral_objective,
}
RULES: dict[str, tuple[StepRule, tuple[float, ...]]] = {
    "printed, best of three rates": ("printed", (1e-2, 1e-3, 1e-4)),
    "cumulative, best of three rates": ("cumulative", (1e-2, 1e-3, 1e-4)),
    "Polyak": ("polyak", (1.0,)),
}


def random_layer(shape: tuple[int, int, int], seed: int, distribution: str = "gaussian") -> torch.Tensor:
    """Draw real kernels whose frame operator is the identity in expectation."""
    n_channels, kernel_length, hop_length = shape
    generator = torch.Generator().manual_seed(seed)
    size = (n_channels, kernel_length)
    if distribution == "uniform":
        taps = 3**0.5 * (2 * torch.rand(size, generator=generator, dtype=torch.float64) - 1)
    else:
        taps = torch.randn(size, generator=generator, dtype=torch.float64)
    return statistics.parseval_deviation(n_channels, kernel_length, hop_length) * taps


def print_table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    """Print a Markdown table."""
    head = list(head)
    print(f"| {' | '.join(head)} |", "|" + "---|" * len(head), sep="\n")
    for row in rows:
        print(f"| {' | '.join(str(cell) for cell in row)} |")
    print(flush=True)


def count_violations(n_layers: int) -> list[tuple[str, int, int, int]]:
    """Compare bounds with exact ones: for each, what it is, cases, cases where it says nothing, and violations."""
    names = ("theorem 3.3", "theorem 3.3, at the shortest length only", "theorem 3.5")
    silent, violated = dict.fromkeys(names, 0), dict.fromkeys(names, 0)
    random = torch.Generator().manual_seed(0)
    for seed in range(n_layers):
        hop_length = int(torch.randint(1, 9, (), generator=random))
        kernel_length = hop_length * int(torch.randint(1, 9, (), generator=random))
        n_channels = hop_length * int(torch.randint(2, 9, (), generator=random))
        kernels = random_layer((n_channels, kernel_length, hop_length), seed, ("gaussian", "uniform")[seed % 2])
        shortest = shortest_signal(kernel_length, hop_length)
        at_shortest = aliasing.alias_bounds(aliasing.alias_terms(kernels, hop_length, shortest))
        universal = aliasing.universal_bounds(kernels, hop_length)
        for factor in LENGTHS:
            exact = frame_bounds(kernels, hop_length, factor * shortest)
            here = aliasing.alias_bounds(aliasing.alias_terms(kernels, hop_length, factor * shortest))
            bounds = (here, at_shortest, (universal.lower or 0.0, universal.upper))
            for name, (lower, upper) in zip(names, bounds, strict=True):
                silent[name] += lower <= 0
                violated[name] += exact.lower < lower - ROUNDING or exact.upper > upper + ROUNDING
    return [(name, n_layers * len(LENGTHS), silent[name], violated[name]) for name in names]


def tightness(shape: tuple[int, int, int], objective: Objective, rule: str, n_steps: int) -> str:
    """Return kappa - 1 after some steps, with the best of the rule's learning rates."""
    step_rule, rates = RULES[rule]
    reached = []
    for rate in rates:
        try:
            end = tighten(
                random_layer(shape, 0), shape[2], objective, step_rule=step_rule, learning_rate=rate, n_steps=n_steps
            )
        except ValueError:  # diverged
            continue
        reached.append(end.kappas[-1] - 1)
    return f"{max(min(reached), 1e-15):.0e}" if reached else "diverged"


def dense_spectral(kernels: torch.Tensor, hop_length: int) -> torch.Tensor:
    """Compute the norm of S - I from the whole matrix, as the paper's baseline does."""
    n_samples = shortest_signal(kernels.shape[-1], hop_length)
    padded = torch.nn.functional.pad(kernels, (0, n_samples - kernels.shape[-1]))
    index = (torch.arange(0, n_samples, hop_length)[:, None] - torch.arange(n_samples)) % n_samples
    analysis = padded[:, index].flatten(0, 1)
    identity = torch.eye(n_samples, dtype=kernels.dtype)
    norm: torch.Tensor = torch.linalg.matrix_norm(analysis.T @ analysis - identity, ord=2)
    return norm


def milliseconds(shape: tuple[int, int, int], objective: Callable[[torch.Tensor, int], torch.Tensor]) -> float:
    """Time the objective and its gradient: the least of five groups, in CPU milliseconds a step."""
    kernels = random_layer(shape, 0).requires_grad_()
    torch.autograd.grad(objective(kernels, shape[2]), kernels)
    times: list[float] = []
    while len(times) < 5:
        start = time.process_time()
        n_steps = 0
        while time.process_time() - start < 0.1:
            torch.autograd.grad(objective(kernels, shape[2]), kernels)
            n_steps += 1
        times.append((time.process_time() - start) / n_steps)
    return 1000 * min(times)


def compare_with_draws(distribution: statistics.Distribution, n_draws: int) -> tuple[object, ...]:
    """Return how far means and variances of alias terms are from their closed forms, over those."""
    shape = 40, 16, 4
    hop_length, n_samples = shape[2], shortest_signal(*shape[1:])
    sigma = statistics.parseval_deviation(*shape)
    terms = torch.stack(
        [
            aliasing.alias_terms(random_layer(shape, seed, distribution), hop_length, n_samples)
            for seed in range(n_draws)
        ]
    )
    mean = statistics.expected_alias_terms(*shape, sigma)[:, None]
    variance = statistics.alias_term_variance(*shape, n_samples, sigma, distribution)
    gaussian = statistics.alias_term_variance(*shape, n_samples, sigma)
    drawn = (terms - mean).abs().square().mean(0)
    return (
        distribution,
        f"{float(terms[:, 0].real.mean()):.4f}",
        f"{float(variance.mean()):.5f}",
        f"{float(drawn.mean()):.5f}",
        f"{100 * float((drawn / variance - 1).abs().max()):.1f} %",
        f"{100 * float((drawn / gaussian - 1).mean()):+.1f} %",
    )


def main() -> None:
    """Print four tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", type=int, default=LAYERS, help="random layers on which bounds are compared")
    parser.add_argument("--steps", type=int, default=STEPS, help="of each descent")
    parser.add_argument("--draws", type=int, default=DRAWS, help="of random layers, for means and variances")
    options = parser.parse_args()
    torch.set_num_threads(1)

    print_table(("bound", "cases", "says nothing of A", "violated"), count_violations(options.layers))
    head = ("objective", *(f"{shape}: {rule}" for shape in TIGHTENED for rule in RULES))
    print(f"kappa - 1 after {options.steps} steps; (channels, taps, stride)\n")
    print_table(
        head,
        (
            (name, *(tightness(shape, OBJECTIVES[name], rule, options.steps) for shape in TIGHTENED for rule in RULES))
            for name in ("L_G", "L_G^", "smooth", "kappa - 1")
        ),
    )
    print("CPU milliseconds a step\n")
    timed = {**OBJECTIVES, "spectral, dense": dense_spectral}
    print_table(
        ("objective", *map(str, TIMED)),
        ((name, *(f"{milliseconds(shape, timed[name]):.2f}" for shape in TIMED)) for name in timed),
    )
    print(f"Alias terms of {options.draws} random layers of 40 channels, 16 taps, stride 4\n")
    print_table(
        ("taps", "mean G_0", "mean variance, formula", "drawn", "largest difference", "drawn against Gaussian formula"),
        (compare_with_draws(distribution, options.draws) for distribution in ("gaussian", "uniform")),
    )
    print(f"{time.process_time():.0f} CPU seconds in all")


if __name__ == "__main__":
    main()
