"""`mirbench filters ENCODER`: stability and aliasing of the filters with which an encoder begins."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mirbench.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mirbench_filterbanks.inspection import FoundBank

SHOWN = {
    "layer": "{}",
    "channels": "{}",
    "taps": "{}",
    "hop": "{}",
    "A": "{:.4g}",
    "B": "{:.4g}",
    "kappa_db": "{:.1f} dB",
    "kappa_db_random": "{:.1f} dB",
    "alias_ratio": "{:.4g}",
    "alias_ratio_random": "{:.4g}",
    "spread_db": "{:.1f} dB",
    "sensitivity": "{:.2f}",
}


@click.command("filters")
@click.argument("name", metavar="ENCODER")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), metavar="DIR", help="Folder of results.")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
def filters_command(name: str, out: Path | None, device: str) -> None:
    """Measure the filters with which ENCODER begins: a convolution over the waveform, or its STFT.

    Prints exact frame bounds with stride and their ratio kappa, the energy of aliases over that of the power response,
    the spread of that response, the values of random filters of the same shape, and the sensitivity of the features:
    their relative change over that of the input, at 40 dB. With --out, writes filters.json and filters.png.
    """
    from mirbench import load_encoder  # torch enters here, not above
    from mirbench_filterbanks.inspection import find_bank, measured, sensitivity

    encoder = load_encoder(name, device)
    bank = find_bank(encoder)
    found: dict[str, Any] = {"encoder": name, **measured(bank), "sensitivity": sensitivity(encoder)}
    width = max(map(len, SHOWN))
    for key, pattern in SHOWN.items():
        value = found.get(key)
        click.echo(f"{key:<{width}}  {'-' if value is None else pattern.format(value)}")
    if found["kappa_db"] is None:
        click.echo("A is 0: some signals have no coefficients; kappa is infinite")
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        write_atomically(out / "filters.json", (json.dumps(found, indent=1) + "\n").encode())
        _draw(bank, encoder.sample_rate, name).savefig(out / "filters.png", dpi=150)
        click.echo(f"written: {out / 'filters.json'}, {out / 'filters.png'}")


def _draw(bank: "FoundBank", sample_rate: int, name: str) -> "Figure":
    """Draw the power responses of the filters, and the alias terms."""
    import numpy as np
    import torch
    from matplotlib.figure import Figure

    from mirbench_filterbanks.inspection import terms_of

    figure = Figure(figsize=(9, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    response = torch.fft.fft(bank.kernels.to(torch.complex128), bank.n_samples).abs()[:, : bank.n_samples // 2 + 1]
    order = response.argmax(dim=1).argsort()
    levels = 20 * torch.log10(response[order] / response.max() + 1e-6)
    style: dict[str, Any] = {"aspect": "auto", "origin": "lower", "vmax": 0, "interpolation": "nearest"}
    left.imshow(levels.numpy(), vmin=-60, extent=(0, sample_rate / 2000, 0, len(levels)), **style)
    left.set(xlabel="frequency (kHz)", ylabel="filter, by its peak", title=f"{name}: responses (dB)")
    if bank.dilation == 1:
        terms = terms_of(bank).abs()
        shown = np.linspace(0, terms.shape[1] // 2, 512).astype(int)
        energy = 10 * torch.log10(terms[:, shown] / terms[0].max() + 1e-6)
        right.imshow(energy.numpy(), vmin=-40, extent=(0, sample_rate / 2000, -0.5, len(terms) - 0.5), **style)
        right.yaxis.get_major_locator().set_params(integer=True)
        right.set(xlabel="frequency (kHz)", ylabel="n", title="|G_n| over the largest G_0 (dB)")
    return figure
