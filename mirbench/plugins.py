"""Find plugins, keep broken ones apart, and look up what they offer by name."""

import difflib
import importlib.util
import inspect
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import pluggy

from mirbench import hookspecs
from mirbench.errors import PluginError, UsageError
from mirbench.specs import DatasetSpec, EncoderSpec, SensorSpec, Spec, SuiteSpec, TaskSpec

if TYPE_CHECKING:
    import click

GROUP = "mirbench"
HERE = "this process"  # origin of specs that are offered without a plugin
SEPARATORS = " ,@:"  # of names on the command line; of encoders, from weights and members of a family
S = TypeVar("S", bound=Spec | SuiteSpec | SensorSpec)


@dataclass(frozen=True)
class PluginProblem:
    """Something wrong with a plugin that takes nothing else down.

    Attributes
    ----------
    is_exit
        Whether the plugin tried to end the process, so that the exit code must show it.
    """

    plugin: str
    reason: str
    is_exit: bool = False

    def __str__(self) -> str:
        return f"plugin {self.plugin}: {self.reason}"


@dataclass(frozen=True)
class Catalog(Generic[S]):
    """The specs of one kind.

    Attributes
    ----------
    found
        Every spec with the module that offers it; two may have one name.
    problems
        Of any plugin: one of them may be the reason why a name is missing.
    """

    kind: str
    found: tuple[tuple[S, str], ...]
    problems: tuple[PluginProblem, ...]

    @property
    def names(self) -> list[str]:
        """The names, sorted."""
        return sorted({spec.name for spec, _ in self.found})

    def specs(self) -> list[S]:
        """List all specs by name; a name that two plugins offer is left out (see `conflicts`)."""
        return [self[name] for name in self.names if len(self._offers(name)) == 1]

    def conflicts(self) -> list[str]:
        """Return an error message for each name that two plugins offer."""
        return [self._conflict(name) for name in self.names if len(self._offers(name)) > 1]

    def __getitem__(self, name: str) -> S:
        """Return a spec by its name.

        Raises
        ------
        UsageError
            If there is no such name.
        PluginError
            If two plugins offer it.
        """
        offers = self._offers(name)
        if len(offers) == 1:
            return offers[0][0]
        if offers:
            raise PluginError(self._conflict(name))
        close = difflib.get_close_matches(name, self.names, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        broken = "".join(f"; {problem}" for problem in self.problems)
        raise UsageError(f"unknown {self.kind} {name!r}{hint} (installed: {', '.join(self.names) or 'none'}{broken})")

    def _offers(self, name: str) -> list[tuple[S, str]]:
        return [(spec, module) for spec, module in self.found if spec.name == name]

    def _conflict(self, name: str) -> str:
        modules = " and ".join(module for _, module in self._offers(name))
        return f"{self.kind} {name!r} is offered by {modules}; rename one or uninstall its package"


class Plugins:
    """All plugins of this process.

    Parameters
    ----------
    files
        Single files to load as plugins, besides the installed ones.

    Raises
    ------
    PluginError
        If one of the files cannot be used. Installed plugins that cannot be used end up in `problems` instead.
    """

    def __init__(self, files: Iterable[Path] = ()) -> None:
        self.manager = pluggy.PluginManager(GROUP)
        self.manager.add_hookspecs(hookspecs)
        self._problems: list[PluginProblem] = []
        for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
            origin = f"{entry.name!r} of {entry.dist.name} {entry.dist.version}" if entry.dist else repr(entry.name)
            self._attempt(origin, partial(self._register, entry.load, origin))
        for file in files:
            self._load_file(file)
        self._encoders = self._collect(EncoderSpec, "mirbench_encoders")
        self._tasks = self._collect(TaskSpec, "mirbench_tasks")
        self._datasets = self._collect(DatasetSpec, "mirbench_datasets")
        self._suites = self._collect(SuiteSpec, "mirbench_suites")
        self._sensors = self._collect(SensorSpec, "mirbench_sensors")

    @property
    def problems(self) -> list[PluginProblem]:
        """Problems of plugins that cannot be used."""
        return self._problems

    @property
    def encoders(self) -> Catalog[EncoderSpec]:
        """The encoders on offer."""
        return Catalog("encoder", tuple(self._encoders), tuple(self._problems))

    @property
    def tasks(self) -> Catalog[TaskSpec]:
        """The tasks on offer."""
        return Catalog("task", tuple(self._tasks), tuple(self._problems))

    @property
    def datasets(self) -> Catalog[DatasetSpec]:
        """The data sets on offer."""
        return Catalog("data set", tuple(self._datasets), tuple(self._problems))

    @property
    def suites(self) -> Catalog[SuiteSpec]:
        """The suites on offer."""
        return Catalog("suite", tuple(self._suites), tuple(self._problems))

    @property
    def sensors(self) -> Catalog[SensorSpec]:
        """The sensors on offer."""
        return Catalog("sensor", tuple(self._sensors), tuple(self._problems))

    def commands(self, taken: Iterable[str]) -> "dict[str, click.Command]":
        """Collect the commands that plugins offer; what has a name that is taken is reported and left out."""
        found: dict[str, click.Command] = {}
        reserved = set(taken)
        for implementation in self.manager.hook.mirbench_commands.get_hookimpls():
            origin = implementation.plugin_name
            self._attempt(origin, partial(_add_commands, implementation, reserved, found))
        return found

    def offer(self, spec: Spec) -> str:
        """Offer an encoder, a task or a data set in this process alone; return its name.

        A spec that was offered before under the same name is replaced.

        Raises
        ------
        PluginError
            If the name cannot be used, or a plugin offers it.
        """
        kinds: dict[type[Spec], Any] = {
            EncoderSpec: self._encoders,
            TaskSpec: self._tasks,
            DatasetSpec: self._datasets,
        }
        found = kinds[type(spec)]
        if any(other.name == spec.name and origin != HERE for other, origin in found):
            raise PluginError(f"{spec.name!r} is offered by a plugin; choose another name")
        found[:] = [pair for pair in found if pair[0].name != spec.name]
        _require_usable(spec)
        found.append((_gated(spec), HERE))
        return spec.name

    def observe(self, observer: object) -> None:
        """Register an observer of runs and results."""
        self.manager.register(observer)

    def find(self, name: str) -> Spec:
        """Return the encoder, task or data set of a name."""
        found: list[tuple[Spec, str]] = [*self._encoders, *self._tasks, *self._datasets]
        return Catalog[Spec]("name", tuple(found), tuple(self._problems))[name]

    def _load_file(self, file: Path) -> None:
        if not file.is_file():
            raise PluginError(f"no plugin file {file}")
        n_before = len(self._problems)
        self._attempt(str(file), partial(self._register, partial(_import_file, file), str(file)))
        if len(self._problems) > n_before:
            raise PluginError(str(self._problems[-1]))

    def _attempt(self, origin: str, action: Callable[[], None]) -> None:
        try:
            action()
        except KeyboardInterrupt:
            raise  # Ctrl-C
        except PluginError as error:
            self._problems.append(PluginProblem(origin, str(error)))
        except Exception as error:  # whatever a plugin raises at import, it must not take the others down
            self._problems.append(PluginProblem(origin, f"{type(error).__name__}: {error}"))
        except BaseException as error:
            reason = f"it tried to end the process ({error!r}); expected a return or an exception"
            self._problems.append(PluginProblem(origin, reason, is_exit=True))

    def _register(self, load: Callable[[], ModuleType], origin: str) -> None:
        module = load()
        hooks = {name for name in vars(hookspecs) if name.startswith("mirbench_")}
        for name, function in inspect.getmembers(module, inspect.isfunction):
            is_marked = hasattr(function, "mirbench_impl")
            if is_marked and name not in hooks:
                raise PluginError(f"no hook is called {name!r}{_did_you_mean(name, hooks)}")
            if not is_marked and name in hooks and function.__globals__ is vars(module):
                raise PluginError(f"{name} lacks the decorator @mirbench.hookimpl")
        try:
            self.manager.register(module, name=origin)
        except pluggy.PluginValidationError as error:
            raise PluginError(str(error).replace("\n", " ")) from error
        except ValueError as error:
            raise PluginError(f"it is registered twice ({error})") from error

    def _collect(self, kind: type[S], hook: str) -> list[tuple[S, str]]:
        found: list[tuple[S, str]] = []
        for implementation in getattr(self.manager.hook, hook).get_hookimpls():
            origin = implementation.plugin_name
            self._attempt(origin, partial(_add_offers, implementation, kind, found))
        return found


def _add_offers(implementation: Any, kind: type[S], found: list[tuple[S, str]]) -> None:
    specs = list(implementation.function())
    for spec in specs:
        if not isinstance(spec, kind):
            raise PluginError(
                f"{implementation.function.__name__} yields a {type(spec).__name__}; expected {kind.__name__}"
            )
        _require_usable(spec)
    origin = getattr(implementation.plugin, "__name__", implementation.plugin_name)
    found += [(_gated(spec), origin) for spec in specs]


def _require_usable(spec: Spec | SuiteSpec | SensorSpec) -> None:
    _require_name(spec)
    if isinstance(spec, SuiteSpec):
        if not spec.tasks or not all(isinstance(task, str) for task in spec.tasks):
            raise PluginError(f"suite {spec.name!r} has the tasks {spec.tasks!r}; expected names of tasks")
        return
    if not callable(spec.load):
        raise PluginError(f"{spec.name!r}: load is a {type(spec.load).__name__}; expected a function")


def _require_name(spec: Spec | SuiteSpec | SensorSpec) -> None:
    """Refuse a name that the command line cannot name, or that tables and terminals cannot show."""
    name: object = spec.name
    if type(name) is not str or not name.isprintable() or not name or any(each in SEPARATORS for each in name):
        raise PluginError(
            f"{type(spec).__name__} has the name {name!r}; expected printable characters without spaces, "
            "commas, '@' and ':'"
        )


def _gated(spec: Any) -> Any:
    """Return a spec of which everything that it loads is checked; see `mirbench.gate`."""
    if isinstance(spec, SuiteSpec):
        return spec
    if not isinstance(spec, EncoderSpec):
        return replace(spec, load=partial(_loaded, f"{type(spec).__name__} {spec.name!r}", spec.load))
    return replace(
        spec,
        load=partial(_loaded_encoder, spec.name, spec.load),
        load_from=spec.load_from and partial(_loaded_encoder, spec.name, spec.load_from),
        load_named=spec.load_named and partial(_loaded_encoder, spec.name, spec.load_named),
    )


def _loaded(who: str, load: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    from mirbench.gate import contained  # numpy enters here, not above

    with contained(f"{who}: its load"):
        return load(*arguments, **options)


def _loaded_encoder(name: str, load: Callable[..., object], *arguments: Any) -> Any:
    from mirbench.gate import loaded  # numpy enters here, not above

    return loaded(name, load, *arguments)


def _add_commands(implementation: Any, reserved: set[str], found: "dict[str, click.Command]") -> None:
    for command in implementation.function():
        name = str(command.name)
        if name in reserved or name in found:
            raise PluginError(f"its command {name!r} is there already; rename it")
        found[name] = command


def _import_file(file: Path) -> ModuleType:
    name = f"mirbench_file_{file.stem}_{abs(hash(file.resolve()))}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise PluginError("it is not a Python file (.py)")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    module.__name__ = str(file)
    return module


def _did_you_mean(name: str, names: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, sorted(names), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def plugin_files(given: Sequence[Path]) -> list[Path]:
    """List the single-file plugins: those given, and those in the environment variable MIRBENCH_PLUGINS."""
    listed = [Path(item) for item in os.environ.get("MIRBENCH_PLUGINS", "").split(os.pathsep) if item]
    return list(dict.fromkeys(path.resolve() for path in (*listed, *given)))
