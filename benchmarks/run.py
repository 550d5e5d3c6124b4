"""Compare mirbench's speed with that of others, side by side in one run.

Run ``python benchmarks/run.py [--only SECTION[,SECTION]] [--repeats N] [--json FILE] [--tiny] [--data FILE.csv]``.
Medians over the repeats, of CPU seconds, because other work on a machine changes them little; comparisons that take
minutes run once. ``--tiny`` shows in seconds whether everything runs; its numbers mean nothing. X-ARES is compared with
where it is installed (``pip install --no-deps xares pytorch-ignite loguru torchmetrics lightning-utilities jiwer
rapidfuzz``); without, its lines are left out.

- ``probes``, ``frames``: one thread. The problems are synthetic and have a known shape: features of condition 3e8 (as
  networks' are), classes and tags by a noisy linear rule. They say how long a probe takes, not how good it is.
- ``extraction``: all cores, wall seconds. The whole way from files to the store, against the network alone on windows
  in memory (HuBERT of 95 M parameters, untrained: how fast it is does not depend on them), and against loops with
  librosa.
- ``startup``, ``rerun``: the command line. ``rerun`` and ``extraction`` take rendered-scores,
  which is made first, or a CSV file with keys.
"""

import argparse
import contextlib
import io
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does

import librosa
import numpy as np
import torch
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from mirbench.data import audio
from mirbench.data.csv import CsvDataset
from mirbench.domain import Clip, Encoder
from mirbench.encoders.references import find_encoder
from mirbench.encoders.windows import WindowedEncoder
from mirbench.features.extract import extract
from mirbench.features.region import Region
from mirbench.features.store import FeatureStore
from mirbench.files import find_home
from mirbench.plugins import Plugins
from mirbench.probes.linear import SEARCH_TOLERANCE, STRENGTHS, Examples, LinearFit, cross_entropy
from mirbench.probes.objectives import OBJECTIVES, Objective
from mirbench.probes.protocols import PROTOCOLS, ProbeData
from mirbench.runs.planning import load_dataset
from mirbench.specs import DatasetRequest

warnings.simplefilter("ignore")
GRID = STRENGTHS[:8]  # 1e-5 to 1.8
CONDITION = 3e8
SKLEARN_TOLERANCE = 1e-4  # LogisticRegression's default, of the same quantity as ours
BATCH_SIZE = 16


@dataclass(frozen=True)
class Line:
    """One measurement.

    Attributes
    ----------
    cpu, wall
        Seconds of each repeat.
    score
        How good what came of it is.
    """

    what: str
    cpu: list[float]
    wall: list[float]
    score: str

    @property
    def median(self) -> float:
        """CPU seconds."""
        return statistics.median(self.cpu)

    @property
    def elapsed(self) -> float:
        """Wall seconds."""
        return statistics.median(self.wall)


@dataclass(frozen=True)
class Given:
    """What the user chose.

    Attributes
    ----------
    divisor
        Of the numbers of rows.
    csv
        Recordings with keys, in place of rendered-scores.
    """

    repeats: int
    divisor: int
    csv: Path | None

    def make(self, n_rows: int, n_valid: int, n_labels: int, *, tags: bool, seed: int = 0) -> "Data":
        """Draw features and labels; see `make`."""
        n_dims = 768 if self.divisor == 1 else 64
        return make(n_rows // self.divisor, n_valid // self.divisor, n_labels, n_dims, tags=tags, seed=seed)


@dataclass(frozen=True)
class Data:
    """Rows of train and valid."""

    x: np.ndarray
    y: np.ndarray
    valid_x: np.ndarray
    valid_y: np.ndarray


def make(n_rows: int, n_valid: int, n_labels: int, n_dims: int = 768, *, tags: bool, seed: int = 0) -> Data:
    """Draw features of a known condition, and labels by a noisy linear rule."""
    random = np.random.default_rng(seed)
    basis, _ = np.linalg.qr(random.standard_normal((n_dims, n_dims)))
    scales = CONDITION ** (-np.arange(n_dims) / (2 * (n_dims - 1)))  # of the Gram matrix: squared
    hidden = random.standard_normal((n_rows + n_valid, n_dims))
    rule = random.standard_normal((n_dims, n_labels)) / np.sqrt(np.arange(1, n_dims + 1))[:, None]
    logits = 6 * hidden @ (rule / np.linalg.norm(rule, axis=0))
    x = ((hidden * scales) @ basis).astype(np.float32)
    if tags:
        y = (logits - 8 + 2 * random.logistic(size=logits.shape) > 0).astype(np.float32)
    else:
        y = (logits + 2 * random.gumbel(size=logits.shape)).argmax(axis=1)
    return Data(x[:n_rows], y[:n_rows], x[n_rows:], y[n_rows:])


def timed(work: Callable[[], str]) -> tuple[float, float, str]:
    """Measure CPU and wall seconds of some work."""
    cpu, wall = time.process_time(), time.perf_counter()
    score = work()
    return time.process_time() - cpu, time.perf_counter() - wall, score


def measured(what: str, work: Callable[[], str], repeats: int) -> Line:
    """Repeat some work."""
    found = [timed(work) for _ in range(repeats)]
    line = Line(what, [cpu for cpu, _, _ in found], [wall for _, wall, _ in found], found[-1][2])
    show(line)
    return line


def show(line: Line) -> None:
    """Print a line."""
    print(f"  {line.what:<58} {line.median:8.2f} CPU s {line.elapsed:8.2f} s  {line.score}", flush=True)


def scored(logits: np.ndarray, data: Data) -> str:
    """Return the scores of logits on the validation rows, as text."""
    if data.valid_y.ndim == 2:
        return f"mAP {average_precision_score(data.valid_y, logits):.4f}"
    loss = -log_softmax(logits, axis=1)[np.arange(len(logits)), data.valid_y].mean()
    return f"accuracy {(logits.argmax(axis=1) == data.valid_y).mean():.4f}, loss {loss:.4f}"


def _probe_data(data: Data, objective: Objective, n_labels: int) -> ProbeData:
    return ProbeData(
        Examples([data.x], data.y), Examples([data.valid_x], data.valid_y), objective, n_labels, memory=2.0**31
    )


def default(data: Data) -> str:
    """Do what `mirbench run` does with one layer."""
    rows = _probe_data(data, OBJECTIVES["multiclass"], 10)
    protocol = PROTOCOLS["convex"]
    best = min(protocol.candidates(rows), key=lambda each: each.loss)
    return scored(protocol.finished(rows, best).logits(data.valid_x), data)


def ours(layers: list[Data], strengths: tuple[float, ...], tolerance: float = SEARCH_TOLERANCE) -> str:
    """Fit all layers and strengths, choose on valid, solve what is chosen exactly."""
    objective = OBJECTIVES["multilabel" if layers[0].y.ndim == 2 else "multiclass"]
    n_labels = layers[0].y.shape[1] if layers[0].y.ndim == 2 else int(layers[0].y.max()) + 1
    best = None
    for data in layers:
        rows = _probe_data(data, objective, n_labels)
        fit = LinearFit(rows.train, objective, n_labels)
        for strength, probe in fit.path(strengths, tolerance):
            loss = cross_entropy(probe, rows.valid, objective)
            if best is None or loss < best[0]:
                best = loss, strength, probe, data
    assert best is not None
    _, strength, probe, data = best
    if data is not layers[-1]:  # as the protocol does: the last fit is remembered
        fit = LinearFit(Examples([data.x], data.y), objective, n_labels)
    return scored(fit.exact(strength, probe).logits(data.valid_x), data)


def theirs(layers: list[Data], strengths: tuple[float, ...]) -> str:
    """Fit all layers and strengths with scikit-learn's L-BFGS in single precision, and choose on valid."""
    best = None
    for data in layers:
        scaler = StandardScaler().fit(data.x)
        x, valid_x = (scaler.transform(each).astype(np.float32) for each in (data.x, data.valid_x))
        for strength in strengths:
            model = LogisticRegression(C=strength)
            if data.y.ndim == 2:
                model = OneVsRestClassifier(model)
            logits = model.fit(x, data.y).decision_function(valid_x)
            if data.y.ndim == 2:
                signed = np.where(data.valid_y > 0, -logits, logits)
                loss = float(np.logaddexp(0, signed).mean())
            else:
                loss = float(-log_softmax(logits, axis=1)[np.arange(len(logits)), data.valid_y].mean())
            if best is None or loss < best[0]:
                best = loss, logits, data
    assert best is not None
    return scored(best[1], best[2])


def xares(data: Data) -> Callable[[], str] | None:
    """Fit X-ARES' linear head as its task does: 10 epochs of Adam, batches of 32; None where it is not installed."""
    try:
        from xares.models.simple import Mlp
        from xares.trainer import Trainer
    except ImportError:
        return None
    logging = sys.modules["loguru"].logger
    logging.remove()

    def batches(x: np.ndarray, y: np.ndarray, random: np.random.Generator | None) -> list[object]:
        order = random.permutation(len(x)) if random else np.arange(len(x))
        values, lengths = torch.from_numpy(x)[:, :, None], torch.ones(32, dtype=torch.int64)
        return [
            ((values[at], lengths[: len(at)]), torch.from_numpy(y[at]), None)
            for at in np.array_split(order, -(-len(x) // 32))
        ]

    def work() -> str:
        torch.manual_seed(0)
        is_tags = data.y.ndim == 2
        model = Mlp(
            data.x.shape[1], data.y.shape[1] if is_tags else 10, "BCEWithLogitsLoss" if is_tags else "CrossEntropyLoss"
        )
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
            trainer = Trainer(model, ckpt_dir=folder, metric="mAP" if is_tags else "accuracy")
            train = batches(data.x, data.y, np.random.default_rng(0))
            trainer.run(train, batches(data.valid_x, data.valid_y, None))
        with torch.inference_mode():
            return scored(model(torch.from_numpy(data.valid_x))[0].numpy(), data)

    return work


Ratio = tuple[str, float]


def probes(given: Given) -> Iterator[Line | Ratio]:
    """Fit probes to clips: 10 classes and 50 tags."""
    repeats = given.repeats
    few = given.make(3000, 1000, 10, tags=False)
    full = measured("10 classes, 3,000 x 768: the default grid", lambda: default(few), repeats)
    yield full
    grid = measured("  HEAR's grid of 8, one seed (protocol hear)", lambda: _hear(few), 1)
    yield grid
    yield "the default grid is cheaper than HEAR's by", grid.median / full.median
    one = measured("  one strength, to its optimum", lambda: ours([few], (0.01,)), repeats)
    yield one
    head = xares(few)
    if head is not None:
        other = measured("  X-ARES' linear head", head, repeats)
        yield other
        yield "one layer and strength are cheaper than X-ARES' head by", other.median / one.median
    layers = [given.make(5000, 1000, 10, tags=False, seed=seed) for seed in range(13)]
    yield from _against_sklearn("10 classes, 5,000 x 768, 13 layers x 8 strengths", layers, GRID, repeats)
    tags = [given.make(5000, 1000, 50, tags=True)]
    yield from _against_sklearn("50 tags, 5,000 x 768, 8 strengths", tags, GRID, repeats)


def frames(given: Given) -> Iterator[Line | Ratio]:
    """Fit probes to frames: 200,000 rows of 25 classes, within a bound on memory."""
    repeats = given.repeats
    data = given.make(200_000, 5000, 25, tags=False)
    Path("/proc/self/clear_refs").write_text("5")  # Linux: the highest memory is what there is now
    before = _highest_memory()
    ours([data], (1e-4,))
    yield "GiB of memory beside the features, at most", (_highest_memory() - before) / 2**20
    yield from _against_sklearn("25 classes, 200,000 x 768, 4 strengths", [data], (1e-4, 1e-3, 1e-2, 1e-1), repeats)


def _highest_memory() -> int:
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])


def _against_sklearn(
    what: str, layers: list[Data], strengths: tuple[float, ...], repeats: int
) -> Iterator[Line | Ratio]:
    mine = measured(what, lambda: ours(layers, strengths), repeats)
    yield mine
    coarse = measured("  stopped where scikit-learn stops", lambda: ours(layers, strengths, SKLEARN_TOLERANCE), repeats)
    yield coarse
    other = measured("  scikit-learn, L-BFGS", lambda: theirs(layers, strengths), 1)
    yield other
    yield f"{what}: cheaper than scikit-learn by", other.median / mine.median
    yield f"{what}: stopped where scikit-learn stops, cheaper by", other.median / coarse.median


def _hear(data: Data) -> str:
    rows = _probe_data(data, OBJECTIVES["multiclass"], 10)
    protocol = PROTOCOLS["hear"]
    protocol.n_seeds = 1
    best = min(protocol.candidates(rows), key=lambda each: each.loss)
    return scored(best.probe.logits(data.valid_x), data)


def extraction(given: Given) -> Iterator[Line | Ratio]:
    """Encode files: HuBERT against the network alone, light encoders against librosa."""
    repeats = given.repeats
    home = find_home(None)
    plugins = Plugins()
    request = DatasetRequest(task="key", size="small", home=home)
    task = plugins.tasks["key"].load()
    data = CsvDataset(given.csv, task) if given.csv else load_dataset(plugins.datasets["rendered-scores"], request)
    clips = data.clips("train")[:24]
    with tempfile.TemporaryDirectory() as folder:
        save_hubert(Path(folder), is_tiny=given.divisor > 1)
        hubert = find_encoder(plugins.encoders, f"hf:{folder}", home).load("cpu")
        yield from _against_network("HuBERT (95 M), 4 clips of 30 s", hubert, clips[:4], repeats)
    mt2 = find_encoder(plugins.encoders, "mt2", home).load("cpu")
    yield from _against_network("mt2, 24 clips of 30 s, with its front ends", mt2, clips, repeats)
    for name, feature in LIBROSA.items():
        encoder = find_encoder(plugins.encoders, name, home).load("cpu")
        mine = measured(f"{name}, 24 clips of 30 s", partial(_extracted, encoder, clips), repeats)
        yield mine
        other = measured("  a loop with librosa", partial(_looped, feature, clips), repeats)
        yield other
        yield f"{name} is faster than a loop with librosa by", other.elapsed / mine.elapsed


def _against_network(what: str, encoder: Encoder, clips: Sequence[Clip], repeats: int) -> Iterator[Line | Ratio]:
    assert isinstance(encoder, WindowedEncoder)
    batches = _batches(encoder, clips)

    def alone() -> str:
        with torch.inference_mode():
            for batch in batches:
                encoder.encode_windows(batch)
        return ""

    alone()
    mine, bare = Line(what, [], [], ""), Line("  the network alone, windows in memory", [], [], "")
    for _ in range(repeats):  # in turns: both meet the same state of the machine
        for line, work in ((mine, lambda: _extracted(encoder, clips)), (bare, alone)):
            cpu, wall, _ = timed(work)
            line.cpu.append(cpu)
            line.wall.append(wall)
    for line in (mine, bare):
        show(line)
        yield line
    n_windows = sum(map(len, batches))
    yield "  milliseconds a window", 1000 * bare.elapsed / n_windows
    yield f"{what}: share of the network's own throughput", bare.elapsed / mine.elapsed


def _batches(encoder: WindowedEncoder, clips: Sequence[Clip]) -> list[torch.Tensor]:
    windows = []
    for clip in clips:
        heard = encoder.prepared(audio.load(clip.path, encoder.sample_rate, clip.start, clip.duration))
        heard = np.pad(heard, (0, max(0, encoder.window_length - len(heard))))
        windows += [heard[start : start + encoder.window_length] for start in encoder.starts(len(heard))]
    return [torch.from_numpy(np.stack(windows[at : at + BATCH_SIZE])) for at in range(0, len(windows), BATCH_SIZE)]


def _extracted(encoder: Encoder, clips: Sequence[Clip]) -> str:
    wanted = {Region.of(clip): frozenset(encoder.readouts("clip")) for clip in clips}
    with tempfile.TemporaryDirectory() as folder:
        done = extract(
            encoder, wanted, FeatureStore(Path(folder)), title="", batch_size=BATCH_SIZE, workers=2, quiet=True
        )
        assert not done.unread
        return ""


def _looped(feature: Callable[[np.ndarray, float], np.ndarray], clips: Sequence[Clip]) -> str:
    with tempfile.TemporaryDirectory() as folder:
        for i, clip in enumerate(clips):
            samples, rate = librosa.load(clip.path, sr=22050, offset=clip.start, duration=clip.duration)
            np.save(f"{folder}/{i}.npy", feature(samples, rate).mean(axis=1))
        return ""


LIBROSA = {
    "logmel": lambda y, rate: librosa.power_to_db(librosa.feature.melspectrogram(y=y, sr=rate)),
    "mfcc": lambda y, rate: librosa.feature.mfcc(y=y, sr=rate),
    "chroma": lambda y, rate: librosa.feature.chroma_cqt(y=y, sr=rate),
}


def save_hubert(folder: Path, *, is_tiny: bool) -> None:
    """Write an untrained HuBERT in the hub's format."""
    from transformers import HubertConfig, HubertModel, Wav2Vec2FeatureExtractor
    from transformers.utils import logging

    logging.disable_progress_bar()
    shape: Any = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    HubertModel(HubertConfig(**(shape if is_tiny else {}))).save_pretrained(folder)
    Wav2Vec2FeatureExtractor().save_pretrained(folder)


def startup(given: Given) -> Iterator[Line | Ratio]:
    """Start the command line."""
    repeats = given.repeats
    for arguments in (["--help"], ["list"]):
        command = [sys.executable, "-m", "mirbench", *arguments]
        yield measured_process(f"mirbench {' '.join(arguments)}", command, repeats)
    yield measured_process("python -c 'import torch'", [sys.executable, "-c", "import torch"], repeats)


def rerun(given: Given) -> Iterator[Line | Ratio]:
    """Run all tasks again when everything is computed."""
    repeats = given.repeats
    with tempfile.TemporaryDirectory() as folder:
        for encoder in ("chroma", "logmel"):
            data = ["key", "--data", str(given.csv)] if given.csv else ["all"]
            command = [sys.executable, "-m", "mirbench", "run", "--encoder", encoder, "--out", folder, "--task", *data]
            subprocess.run(command, check=True, capture_output=True)
            yield measured_process(f"mirbench run --encoder {encoder} --task {data[0]}, again", command, repeats)


def measured_process(what: str, command: list[str], repeats: int) -> Line:
    """Repeat a command."""
    line = Line(what, [], [], "")
    for _ in range(repeats):
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        line.cpu.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        line.wall.append(time.perf_counter() - started)
    show(line)
    return line


SECTIONS = {"probes": probes, "frames": frames, "extraction": extraction, "startup": startup, "rerun": rerun}
IN_ONE_THREAD = {"probes", "frames"}


def main() -> None:
    """Print lines and ratios, and write them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=",".join(SECTIONS), help="sections, separated by commas")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--tiny", action="store_true", help="a fiftieth of the rows")
    parser.add_argument("--data", type=Path, help="a CSV file as for mirbench run, instead of rendered-scores")
    words = parser.parse_args()
    given = Given(words.repeats, 50 if words.tiny else 1, words.data)
    found: dict[str, object] = {"machine": platform.processor() or platform.machine(), "torch": torch.__version__}
    for name in words.only.split(","):
        print(name, flush=True)
        lines, ratios = [], {}
        with threadpool_limits(1) if name in IN_ONE_THREAD else contextlib.nullcontext():
            torch.set_num_threads(1 if name in IN_ONE_THREAD else os.cpu_count() or 1)
            for each in SECTIONS[name](given):
                if isinstance(each, Line):
                    lines.append(vars(each))
                else:
                    ratios[each[0].strip()] = each[1]
                    print(f"    {each[0]}: {each[1]:.3g}", flush=True)
        found[name] = {"lines": lines, "ratios": ratios}
    if words.json is not None:
        words.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
