"""`mirbench pretrain`: one loop for every model; interrupted at any time, it continues bit for bit."""

import ctypes
import io
import json
import math
import os
import pickle
import subprocess
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import torch
from torch import distributed, nn

from mirbench.errors import TrainingError, first_line
from mirbench.files import sweep, write_atomically
from mirbench.progress import StepProgress
from mirbench.specs import PretrainRequest
from mirbench_ssl.corpus import Corpus, Track, open_corpus
from mirbench_ssl.recipe import Recipe, number
from mirbench_ssl.segments import Batch, Segments
from mirbench_ssl.weights import Header, write_weights

SECONDS_BETWEEN_CHECKPOINTS = 120.0
STEPS_BETWEEN_LINES = 10
LARGEST_CONCENTRATION, STEPS_OF_GRACE = 0.3, 100  # see mirbench_ssl.losses.concentration
STEPS_BETWEEN_VALIDATIONS = 50
STEPS_TO_MEASURE = 20  # before --hours becomes a number of steps
FULL_SPEED_AFTER = 3  # steps; the first ones are slower
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of glibc's malloc.h
BETAS = (0.9, 0.98)
DAMAGE = (
    pickle.UnpicklingError, EOFError, RuntimeError, KeyError, IndexError, TypeError, ValueError, AttributeError,
)  # fmt: skip  # of torch.load and load_state_dict
CLIP_NORM = 3.0  # of each parameter's gradient by itself


def pretrain(recipe: Recipe, request: PretrainRequest) -> None:
    """Train, and write weights, losses (JSON lines) and their curve (PNG).

    Started by `torchrun`, every process trains on its share of each batch.

    Raises
    ------
    TrainingError
        If there is nothing to train on, the options are unknown, the output is there, or the loss is not a number.
    """
    options = recipe.checked(request)
    sweep(request.out.parent, deep=False)
    _refuse_to_overwrite(request)
    if request.out.exists():
        click.echo(f"{request.out} is there already: nothing to do", err=True)
        return
    _keep_memory()
    with _Processes(request.device) as processes:
        if processes.n_ranks == 1:
            torch.set_num_threads(request.workers)
        corpus = open_corpus(request, recipe.front_end, processes.say)
        run = _Run(recipe, request, options, corpus, processes)
        if recipe.is_chosen_on_validation:
            asked = replace(request, audio=(), clips=request.valid_clips)
            run.valid = open_corpus(asked, recipe.front_end, processes.say).tracks
        run.train()
        if processes.rank == 0:
            run.finish()


class _Run:
    """One training, from its first step or from its checkpoint."""

    def __init__(
        self,
        recipe: Recipe,
        request: PretrainRequest,
        options: Mapping[str, str],
        corpus: Corpus,
        processes: "_Processes",
    ) -> None:
        self.recipe, self.request, self.options, self.corpus, self.processes = (
            recipe,
            request,
            options,
            corpus,
            processes,
        )
        self.batch_size = request.batch_size or recipe.batch_size
        related = number(options, recipe.related) if recipe.related else 0.0
        self.pools = [
            Segments(tracks, recipe.n_frames, recipe.front_end.frame_rate, request.seed, related)
            for tracks in recipe.pools(corpus.tracks)
        ]
        torch.manual_seed(request.seed)
        self.objective = recipe.objective(options).to(request.device)
        self.optimizer = _optimizer(self.objective)
        self.n_steps = None if request.hours is not None else request.steps or recipe.steps
        self.step, self.seconds = 0, 0.0
        self.lines: list[dict[str, int | float]] = []
        self.valid: Sequence[Track] = ()
        self.best: dict[str, Any] = {}  # validation, step and state of the network with the lowest validation so far
        if request.resume and self._checkpoint.exists():
            self._resume()

    def train(self) -> None:
        """Make the steps that are missing."""
        request, processes = self.request, self.processes
        hours = f"{self.corpus.hours:.2f} h of audio, {self._n_tracks} of {len(self.corpus.tracks)} tracks"
        processes.say(f"{request.model}: {hours}, batches of {self.batch_size}, {_precision(request.device)}")
        model = processes.wrap(self.objective)
        model.train()
        started = saved = time.monotonic() - self.seconds
        sums: dict[str, float] = {}
        n_before = self.step
        with StepProgress(request.model, self.n_steps or 0, self.step) as progress:
            while self.n_steps is None or self.step < self.n_steps:
                batch = self.pools[self.step % len(self.pools)].batch(self.step, self.batch_size)
                terms = self._advance(model, batch.part(processes.rank, processes.n_ranks))
                self.seconds = time.monotonic() - started
                for name, value in terms.items():
                    sums[name] = sums.get(name, 0.0) + value / STEPS_BETWEEN_LINES
                self.step += 1
                if self.step - n_before == FULL_SPEED_AFTER:
                    full_speed = self.seconds
                if self.n_steps is None and self.step == STEPS_TO_MEASURE:
                    self._fix_steps((self.seconds - full_speed) / (STEPS_TO_MEASURE - FULL_SPEED_AFTER), progress)
                if self.step % STEPS_BETWEEN_LINES == 0:
                    self._refuse_shortcut(sums)
                    if self.valid and (self.step % STEPS_BETWEEN_VALIDATIONS == 0 or self.step == self.n_steps):
                        sums["validation"] = self._validate()
                    self._log(sums)
                    sums = {}
                progress.advance(f"loss {terms['loss']:.3f}, {self._speed():.1f} segments/s")
                is_due = time.monotonic() - saved > SECONDS_BETWEEN_CHECKPOINTS
                if is_due and self.step % STEPS_BETWEEN_LINES == 0 and self.n_steps and processes.rank == 0:
                    self._save()
                    saved = time.monotonic()

    def _validate(self) -> float:
        """Return the validation of the network as it is, and keep its state if it is the best so far."""
        self.objective.eval()
        with torch.no_grad():
            found = self.objective.validation(self.valid)
        self.objective.train()
        if not self.best or found < self.best["validation"]:
            state = {name: value.detach().clone() for name, value in self.objective.network.state_dict().items()}
            self.best = {"validation": found, "step": self.step, "network": state}
        return found

    def finish(self) -> None:
        """Write weights and curve; the checkpoint goes."""
        if self.best:
            self.objective.network.load_state_dict(self.best["network"])
        request, network = self.request, self.objective.network.eval()
        calibration = self.recipe.calibrate(network) if self.recipe.calibrate else {}
        header = Header(
            model=request.model,
            configuration=dict(self.options),
            data={
                "names": list(self.corpus.names),
                "hours": round(self.corpus.hours, 2),
                "tracks": self._n_tracks,
                "digest": self.corpus.digest,
            },
            steps=self.step,
            seed=request.seed,
            commit=_commit(),
            version=version("mirbench-audio"),
            license=request.license,
            training={
                "batch size": self.batch_size,
                "learning rate": self.recipe.learning_rate,
                "hours": round(self.seconds / 3600, 2),
                "precision": _precision(request.device),
                "loss": self.lines[-1]["loss"] if self.lines else None,
                **({name: self.best[name] for name in ("validation", "step")} if self.best else {}),
            },
            calibration=calibration,
        )
        self._write_lines()
        _plot(self.lines, request.out.with_suffix(".png"), request.model)
        write_weights(request.out, network, header)
        self._checkpoint.unlink(missing_ok=True)
        self.processes.say(f"{request.out}: {self.step} steps, {self._speed():.1f} segments/s")

    @property
    def _n_tracks(self) -> int:
        return len({track.source for pool in self.pools for track in pool.tracks})

    @property
    def _checkpoint(self) -> Path:
        return self.request.out.with_suffix(".checkpoint")

    def _advance(self, model: nn.Module, batch: Batch) -> dict[str, float]:
        """Make one step. All that is random in it follows from seed and step."""
        torch.manual_seed(hash((self.request.seed, self.step, self.processes.rank)) % 2**63)
        rate, decay = self._schedule()
        for group in self.optimizer.param_groups:
            group["lr"] = rate
            group["weight_decay"] = decay if group["decays"] else 0.0
        device = self.request.device
        with torch.autocast(device, torch.bfloat16, enabled=_precision(device) == "bfloat16"):
            terms: dict[str, torch.Tensor] = model(batch, self.step)
        values = {name: float(term.detach()) for name, term in terms.items()}
        if not math.isfinite(values["loss"]):
            names = "\n".join(f"  {name}" for name in batch.names)
            raise TrainingError(
                f"the loss is {values['loss']} at step {self.step} ({values}); look at its batch, or try another seed:"
                f"\n{names}"
            )
        self.optimizer.zero_grad()
        terms["loss"].backward()
        for parameter in self.objective.parameters():
            nn.utils.clip_grad_norm_(parameter, CLIP_NORM)
        self.optimizer.step()
        return values

    def _schedule(self) -> tuple[float, float]:
        """Return the learning rate and the weight decay of this step."""
        recipe = self.recipe
        if self.step < recipe.warm_up or self.n_steps is None:
            return recipe.learning_rate * min(1.0, (self.step + 1) / recipe.warm_up), recipe.weight_decay[0]
        done = (self.step - recipe.warm_up) / max(1, self.n_steps - recipe.warm_up)
        falling = (1 + math.cos(math.pi * done)) / 2
        first, last = recipe.weight_decay
        return (
            recipe.lowest_rate + (recipe.learning_rate - recipe.lowest_rate) * falling,
            last + (first - last) * falling,
        )

    def _refuse_shortcut(self, means: Mapping[str, float]) -> None:
        """Stop a training whose network represents the crop of a view instead of its tonality."""
        found = means.get("concentration", 0.0)
        if self.step >= STEPS_OF_GRACE and found > LARGEST_CONCENTRATION:
            raise TrainingError(
                f"the concentration of the profiles is {found:.2f} at step {self.step}, expected at most "
                f"{LARGEST_CONCENTRATION}: the network represents where a view was cropped, instead of the key; train "
                "on more tonal music, or on renderings of known transposition (training/render.py)"
            )

    def _fix_steps(self, seconds: float, progress: StepProgress) -> None:
        """Turn hours into steps, from the speed of the first ones."""
        assert self.request.hours is not None
        slowest = self.processes.slowest(seconds)
        self.n_steps = max(STEPS_TO_MEASURE, round(self.request.hours * 3600 / slowest))
        progress.total(self.n_steps)
        self.processes.say(f"{slowest:.2f} s a step: {self.request.hours} h are {self.n_steps} steps")

    def _speed(self) -> float:
        return 2 * self.batch_size * self.step / max(self.seconds, 1e-9)

    def _log(self, sums: Mapping[str, float]) -> None:
        rate, _ = self._schedule()
        self.lines.append(
            {
                "step": self.step,
                **sums,
                "learning_rate": rate,
                "seconds": self.seconds,
                "segments_per_second": self._speed(),
            }
        )

    def _identity(self) -> dict[str, Any]:
        """Return what must be equal for a training to be continued."""
        return {
            "model": self.request.model,
            "options": dict(self.options),
            "batch size": self.batch_size,
            "seed": self.request.seed,
            "data": self.corpus.digest,
            "steps or hours": [self.request.steps, self.request.hours],
            "processes": self.processes.n_ranks,
        }

    def _save(self) -> None:
        content = io.BytesIO()
        state = {
            "identity": json.dumps(self._identity()),
            "objective": self.objective.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "n_steps": self.n_steps,
            "seconds": self.seconds,
            "lines": self.lines,
            "best": self.best,
        }
        torch.save(state, content)
        write_atomically(self._checkpoint, content.getvalue())
        self._write_lines()

    def _resume(self) -> None:
        if not self._checkpoint.is_file():
            raise TrainingError(f"{self._checkpoint}: not a file; remove it to train from the beginning")
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Detected pickle protocol")  # of files that are refused anyway
                state = torch.load(self._checkpoint, map_location=self.request.device, weights_only=True)
            self._continue_from(state)
        except DAMAGE as error:
            is_foreign = isinstance(error, pickle.UnpicklingError)  # its text advises to run what the file holds
            reason = "not a checkpoint of mirbench" if is_foreign else first_line(error)
            raise TrainingError(
                f"{self._checkpoint}: damaged ({reason}); remove it to train from the beginning"
            ) from error

    def _continue_from(self, state: dict[str, Any]) -> None:
        then, now = json.loads(state["identity"]), self._identity()
        changed = [f"{name} {then.get(name)!r}, now {now[name]!r}" for name in now if then.get(name) != now[name]]
        if changed:
            raise TrainingError(
                f"{self._checkpoint} is of another training: {'; '.join(changed)}; give the same arguments or remove it"
            )
        self.objective.load_state_dict(state["objective"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.n_steps, self.seconds = int(state["step"]), int(state["n_steps"]), float(state["seconds"])
        self.lines, self.best = list(state["lines"]), dict(state["best"])

    def _write_lines(self) -> None:
        text = "".join(f"{json.dumps(line)}\n" for line in self.lines)
        write_atomically(self.request.out.with_suffix(".jsonl"), text.encode())


class _Processes:
    """The processes that train together: one, or those that `torchrun` has started."""

    def __init__(self, device: str) -> None:
        self.device = device
        self.rank, self.n_ranks = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))

    def __enter__(self) -> "_Processes":
        if self.n_ranks > 1:
            if self.device == "cuda":
                torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
            distributed.init_process_group("nccl" if self.device == "cuda" else "gloo")
        return self

    def __exit__(self, *error: object) -> None:
        if self.n_ranks > 1:
            distributed.destroy_process_group()

    def wrap(self, objective: nn.Module) -> nn.Module:
        """Let the processes share their gradients."""
        if self.n_ranks == 1:
            return objective
        if self.device == "cuda":
            objective = nn.SyncBatchNorm.convert_sync_batchnorm(objective)
        return nn.parallel.DistributedDataParallel(objective)

    def slowest(self, seconds: float) -> float:
        """Find the largest of a number over the processes."""
        if self.n_ranks == 1:
            return seconds
        shared = torch.tensor(seconds, device=self.device)
        distributed.all_reduce(shared, distributed.ReduceOp.MAX)
        return float(shared)

    def say(self, text: str) -> None:
        """Print a line, once."""
        if self.rank == 0:
            click.echo(text, err=True)


def _keep_memory() -> None:
    """Let glibc keep what is freed: fetched from the system anew, memory costs half of the time (measured)."""
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(M_MMAP_MAX, 0)
            mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def _refuse_to_overwrite(request: PretrainRequest) -> None:
    checkpoint = request.out.with_suffix(".checkpoint")
    if not request.resume:
        for path in (request.out, checkpoint):
            if path.exists():
                raise TrainingError(
                    f"{path} is there already; remove it, choose another --out, or continue with --resume"
                )


def _optimizer(objective: nn.Module) -> torch.optim.Optimizer:
    """Make AdamW; what has one axis or none (biases, scales) and class tokens do not decay."""
    parameters = list(objective.parameters())
    matrices = [parameter for parameter in parameters if parameter.squeeze().ndim > 1]
    others = [parameter for parameter in parameters if parameter.squeeze().ndim <= 1]
    return torch.optim.AdamW(
        [{"params": matrices, "decays": True}, {"params": others, "decays": False}],
        lr=0.0,
        betas=BETAS,
        weight_decay=0.0,
    )


def _precision(device: str) -> str:
    """Choose bfloat16 where the processor computes in it."""
    if device == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    flags = Path("/proc/cpuinfo")
    return "bfloat16" if flags.is_file() and "avx512_bf16" in flags.read_text() else "float32"


def _commit() -> str:
    """Find the commit of mirbench, where it runs from its repository."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def _plot(lines: list[dict[str, int | float]], path: Path, model: str) -> None:
    """Draw the terms of the loss against the steps."""
    from matplotlib.figure import Figure

    if not lines:
        return
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for name in lines[0]:
        if name not in ("step", "learning_rate", "seconds", "segments_per_second"):
            axes.plot([line["step"] for line in lines], [line[name] for line in lines], label=name)
    axes.set(xlabel="step", ylabel="loss", title=model)
    axes.legend()
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=120)
    write_atomically(path, content.getvalue())
