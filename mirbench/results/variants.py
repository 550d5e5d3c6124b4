"""Results of one encoder by another protocol, or with another option of a task, under a name of their own.

`mt2:mix=mix2` names the results of `mt2` with `--mix mix2`; `mt2:protocol=last-layer` and `mt2:decoder=peaks` likewise.
Settings that a name leaves out have their defaults.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from mirbench.domain import ClipScores, Result
from mirbench.results.records import record_id

SETTINGS = re.compile(r"^(?P<encoder>.+?)(?P<settings>(?::[a-z_]+=[\w.+-]+)+)$")
STANDARD = "convex"


def add_variants(
    names: Sequence[str], results: Sequence[Result], scores: Mapping[str, ClipScores]
) -> tuple[list[Result], dict[str, ClipScores]]:
    """Return results and scores with those of variants added, as results of the standard protocol without options.

    Parameters
    ----------
    names
        Names of encoders, or of variants such as `mt2:mix=mix2`; several between commas are seeds of one model.
    results, scores
        Results of all protocols and options, and the scores of their clips.
    """
    found, kept = list(results), dict(scores)
    for name in (name.strip() for text in names for name in text.split(",")):
        match = SETTINGS.match(name)
        if match is None:
            continue
        options = dict(pair.split("=", 1) for pair in match["settings"][1:].split(":"))
        protocol, mix = options.pop("protocol", STANDARD), options.pop("mix", "none")
        wanted = protocol if mix == "none" else f"{protocol}+{mix}"
        for result in results:
            if (result.encoder, result.protocol, dict(result.options)) == (match["encoder"], wanted, options):
                renamed = replace(result, encoder=name, protocol=STANDARD, options={})
                found.append(renamed)
                if record_id(result) in scores:
                    kept[record_id(renamed)] = scores[record_id(result)]
    return found, kept
