"""A pretrained model: a folder on this machine, or a repository of the Hugging Face hub."""

import json
import pickle
import warnings
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from safetensors import SafetensorError

from mirbench.errors import WeightsError, first_line

CONFIGURATION = "config.json"
WEIGHTS = ("model.safetensors", "pytorch_model.bin", "model.safetensors.index.json", "pytorch_model.bin.index.json")
DAMAGE = (
    SafetensorError, pickle.UnpicklingError, EOFError, RuntimeError, LookupError, TypeError, AttributeError,
    ArithmeticError,
)  # fmt: skip  # what transformers lets through
T = TypeVar("T")


@dataclass(frozen=True)
class Source:
    """Location of a model; `require_transformers` has been called before.

    Attributes
    ----------
    name
        A folder, or ORG/NAME on the hub.
    revision
        Branch, tag or commit on the hub.
    trust_remote_code
        Whether code that lies beside the weights may run: only if the user says so.
    """

    name: str
    revision: str | None = None
    trust_remote_code: bool = False

    @property
    def is_local(self) -> bool:
        """Whether it is a folder."""
        return Path(self.name).is_dir()

    def configuration(self) -> dict[str, Any]:
        """Read `config.json`.

        Raises
        ------
        WeightsError
            If it cannot be had.
        """
        if self.is_local:
            path = Path(self.name) / CONFIGURATION
            if not path.is_file():
                raise WeightsError(
                    f"{self.name}: no {CONFIGURATION} there; expected a folder that save_pretrained wrote"
                )
        else:
            path = Path(self._attempt(self._download))
        try:
            found = json.loads(path.read_text())
        except (ValueError, RecursionError) as error:
            raise WeightsError(f"{path}: not JSON ({error})") from error
        if not isinstance(found, dict):
            raise WeightsError(f"{path}: expected an object of settings, found a {type(found).__name__}")
        return found

    def load(self, cls: Any, **options: Any) -> Any:
        """Call `cls.from_pretrained`.

        Raises
        ------
        WeightsError
            If something is missing.
        """
        if self.revision:
            options["revision"] = self.revision
        return self._attempt(
            lambda: cls.from_pretrained(
                self.name, local_files_only=self.is_local, trust_remote_code=self.trust_remote_code, **options
            )
        )

    def load_network(
        self, cls: Any, may_be_missing: Collection[str] = (), *, exactly: bool = False, **options: Any
    ) -> Any:
        """Load a network in single precision, all of whose weights are there.

        Parameters
        ----------
        exactly
            Whether weights for which the network has no place are an error, too. Most models bring the heads of their
            training.
        may_be_missing
            Names of parameters that are not used here, such as the vector that stands for masked frames.

        Raises
        ------
        WeightsError
            If weights are missing or have other shapes: they would be random.
        """
        import torch

        network, info = self.load(cls, dtype=torch.float32, output_loading_info=True, **options)
        unused = set(info["missing_keys"]) & set(may_be_missing)
        for name in unused:
            network.get_parameter(name).data.zero_()  # else they would be random
        missing = sorted(set(info["missing_keys"]) - unused)
        wrong = missing + [str(key) for key in info.get("mismatched_keys", ())] + list(info.get("error_msgs", ()))
        if exactly:
            wrong += sorted(info["unexpected_keys"])
        if wrong:
            raise WeightsError(
                f"{self.name}: {len(wrong)} weights are missing or do not fit {cls.__name__}, such as {wrong[0]}"
            )
        return network.eval()

    def _download(self) -> str:
        from huggingface_hub import hf_hub_download

        return str(hf_hub_download(self.name, CONFIGURATION, revision=self.revision))

    def _attempt(self, action: Callable[[], T]) -> T:
        from huggingface_hub import errors
        from huggingface_hub.errors import HFValidationError

        odd_settings = getattr(errors, "StrictDataclassError", HFValidationError)  # of releases that check types
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Detected pickle protocol")  # of files that are refused anyway
                return action()
        except HFValidationError as error:
            raise WeightsError(f"{self.name!r} is neither a folder nor ORG/NAME of the Hugging Face hub") from error
        except (OSError, ValueError, ImportError) as error:  # what transformers raises for all that is not to be had
            reason = first_line(error).rstrip(".")
            raise WeightsError(f"{self.name}: {reason}{'' if self.is_local else self._hint()}") from error
        except (*DAMAGE, odd_settings) as error:
            is_foreign = isinstance(error, pickle.UnpicklingError)  # its text advises to run what the file holds
            reason = "the file does not hold tensors alone" if is_foreign else first_line(error).rstrip(".:")
            raise WeightsError(
                f"{self.name}: weights or configuration are damaged, cut off, or of another network ({reason}); remove "
                "the file, and download it again"
            ) from error

    def _hint(self) -> str:
        at = f" --revision {self.revision}" if self.revision else ""
        return (
            f"; offline? On a machine with network run 'hf download {self.name}{at} --local-dir FOLDER' and give the "
            "FOLDER instead"
        )


def is_cached(repository: str) -> bool:
    """Return whether a repository's configuration and weights are in the hub's cache."""
    try:
        from huggingface_hub import try_to_load_from_cache
    except ImportError:
        return False
    here = [isinstance(try_to_load_from_cache(repository, name), str) for name in (CONFIGURATION, *WEIGHTS)]
    return here[0] and any(here[1:])


def require_transformers(extra: str) -> None:
    """Raise WeightsError, saying what to install, if transformers is not there; keep it from drawing progress bars."""
    try:
        from transformers.utils import logging
    except ImportError as error:
        raise WeightsError(f"transformers is not installed; run: pip install 'mirbench-audio[{extra}]'") from error
    logging.disable_progress_bar()
