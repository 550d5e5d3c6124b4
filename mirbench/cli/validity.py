"""Output of `mirbench check NAME --validity`."""

from pathlib import Path

from mirbench.cli.console import echo
from mirbench.cli.options import Session

FILES = {"markdown": "validity.md", "json": "validity.json"}


def check_validity(name: str, out: Path, kind: str, size: str, session: Session) -> None:
    """Print what a task, or each task of a suite, can show; write it to a file of OUT, unless as text."""
    from mirbench.files import write_atomically
    from mirbench.plan import Settings
    from mirbench.results.validity import as_markdown, as_text, facts_as_json, read_facts, validity_in
    from mirbench.runs.planning import tasks_of
    from mirbench.runs.validity import facts_of

    settings = Settings(home=session.home, out=out, workers=session.workers, size=size)
    tasks = tasks_of(session.plugins, [name])
    for task in tasks:
        session.plugins.tasks[task]  # an unknown name is an error before anything is computed
    every = validity_in(out, [facts_of(task, session.plugins, settings) for task in tasks])
    for each in every:
        echo(f"{as_text(each)}\n")
    if kind == "text":
        return
    path = out / FILES[kind]
    if kind == "markdown":
        text = as_markdown(every)
    else:
        own = [each.facts for each in every]
        others = [each for each in read_facts(path) if each.task not in tasks]
        text = facts_as_json([*own, *others])
    write_atomically(path, text.encode())
    echo(f"written: {path}")
