"""`make mutants-python`: puts faults into the Python code, and reports those that no test finds.

Faults that were once planted by hand come first, then a random sample of the mutants that Cosmic
Ray makes. Each is put into a copy of the source tree, whose links lead to the copied folders. The
tests that execute its statement run until one fails. What was judged is recorded in the
session's folder; the same command continues there.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from systolith.golden.files.whole_files import write_whole
from systolith.golden.reports.markdown import cell, table
from systolith.golden.reports.statistics import wilson_interval
from systolith.scripts.console import to_json
from tests.mutation.python_code.mutant_session import FOUND, Session, Verdict
from tests.mutation.python_code.source_mutants import (
    AREAS,
    Place,
    PlantedFault,
    area_of,
    modules,
    places,
    sample,
)

SCHEMA = "systolith.python_mutants/1"
SEED = 1
MINUTES = 105
"""The time for judging; what comes before it takes less than the rest of two hours."""

LEAST_FOUND = {"golden": 0.9, "hw": 0.9, "sim": 0.9, "scripts": 0.85}
"""The least share of an area's mutants that the tests must find."""

PLANTED_FILE = Path(__file__).with_name("planted_faults.json")
"""Faults that were once planted by hand: text of a file, and what it becomes."""

REASONS_FILE = Path(__file__).with_name("python_survivors.json")
"""Survivors that are equivalent or harmless, and why; by module, and text before and after."""


def planted_faults() -> list[PlantedFault]:
    """The faults in `PLANTED_FILE`."""
    return [
        PlantedFault(
            each["file"], f"{each['group']}: {each['fault']}", each["before"], each["after"]
        )
        for each in json.loads(PLANTED_FILE.read_text("utf-8"))
    ]


def share_found(verdicts: Sequence[Verdict], equivalent: Iterable[str] = ()) -> float:
    """The share found of the mutants that are not equivalent; `equivalent` are their keys."""
    found, counted = _counts(verdicts, equivalent)
    return found / counted if counted else 1.0


def found_interval(
    verdicts: Sequence[Verdict], equivalent: Iterable[str] = ()
) -> tuple[float, float]:
    """The 95 % confidence interval of the share found; anything if there are no mutants."""
    found, counted = _counts(verdicts, equivalent)
    return wilson_interval(found, counted) if counted else (0.0, 1.0)


def _counts(verdicts: Sequence[Verdict], equivalent: Iterable[str]) -> tuple[int, int]:
    counted = [each for each in verdicts if each.key not in set(equivalent)]
    return sum(each.outcome == FOUND for each in counted), len(counted)


@dataclass(frozen=True)
class Outcome:
    """The result of a campaign.

    Parameters
    ----------
    seed
        Of the sample.
    only
        The patterns of the modules that were mutated; none for all of `AREAS`.
    totals
        The number of all mutants of these modules, by area.
    planted, random
        The verdicts on planted faults, and on the mutants that were judged.
    reasons
        By key, why a survivor is one; what begins with "equivalent" does not count.
    """

    seed: int
    only: Sequence[str]
    totals: Mapping[str, int]
    planted: Sequence[Verdict]
    random: Sequence[Verdict]
    reasons: Mapping[str, str]

    @property
    def equivalent(self) -> set[str]:
        """The keys of survivors that are no fault."""
        return {key for key, reason in self.reasons.items() if reason.startswith("equivalent")}

    @property
    def passed(self) -> bool:
        """Whether all planted faults, and enough mutants of each area, were found."""
        return share_found(self.planted) == 1 and all(
            share_found(self.of(area), self.equivalent) >= least
            for area, least in LEAST_FOUND.items()
        )

    def of(self, area: str) -> list[Verdict]:
        """The verdicts on the mutants of an area."""
        return [each for each in self.random if area_of(each.module) == area]

    def to_mapping(self) -> dict[str, Any]:
        """The content of the JSON file."""
        return {
            "schema": SCHEMA,
            "seed": self.seed,
            "only": list(self.only),
            "areas": {
                area: {
                    "mutants": total,
                    "judged": len(self.of(area)),
                    "equivalent": sum(v.key in self.equivalent for v in self._missed(area)),
                    "found": round(share_found(self.of(area), self.equivalent), 4),
                    "interval": [
                        round(end, 4) for end in found_interval(self.of(area), self.equivalent)
                    ],
                }
                for area, total in self.totals.items()
            },
            "planted": [asdict(each) for each in self.planted],
            "mutants": [
                asdict(each) | {"reason": self.reasons.get(each.key, "")} for each in self.random
            ],
        }

    def to_markdown(self) -> str:
        """The page: shares by area, survivors with reasons, planted faults."""
        rows = []
        for area, total in self.totals.items():
            found, missed = self.of(area), self._missed(area)
            same = sum(each.key in self.equivalent for each in missed)
            share = f"{share_found(found, self.equivalent):.1%}" if found else ""
            low, high = found_interval(found, self.equivalent)
            counts = f"{total:,}", f"{len(found):,}", str(same), str(len(missed) - same)
            rows.append([area, *counts, share, f"{low:.1%} to {high:.1%}" if found else ""])
        heads = ["of", "mutants", "judged", "equivalent", "missed", "found", "with 95 %"]
        survivors = [
            [
                *(cell(f"{each.module}:{each.line}"), cell(each.before), cell(each.after)),
                cell(self.reasons.get(each.key, "")),
            ]
            for area in self.totals
            for each in self._missed(area)
        ]
        faults = [
            [cell(each.kind), cell(each.module), cell(each.found_by or each.outcome)]
            for each in self.planted
        ]
        about = (
            f"`make mutants-python`: of the {sum(self.totals.values()):,} mutants that Cosmic Ray "
            f"makes of the code, {len(self.random):,} were judged, drawn at random with seed "
            f"{self.seed}. The tests that execute the changed statement run until one fails. "
            "Mutants that are equivalent do not count. Annotations, declarations such as `frozen`, "
            "and the sizes, distances, angles and opacities of pictures are not mutated. The last "
            "column is the confidence interval of the share of all mutants, by Wilson's score.\n"
        )
        if self.only:
            about += f"\nOnly these modules were mutated: {', '.join(map(cell, self.only))}.\n"
        parts = [
            "# Mutants of the Python code\n",
            about,
            table(heads, rows, left=1),
        ]
        if survivors:
            columns = ["where", "before", "after", "reason"]
            parts += ["## Not found\n", table(columns, survivors, left=4)]
        if faults:
            columns = ["fault", "file", "found by"]
            parts += [
                "## Planted faults\n",
                "Faults that were once planted by hand and that no test of the module found.\n",
                table(columns, faults, left=3),
            ]
        return "\n".join(parts)

    def _missed(self, area: str) -> list[Verdict]:
        return [each for each in self.of(area) if each.outcome != FOUND]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the campaign, print the page, and write the files of `--out`; 1: too few were found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=SEED, help=f"of the sample (default: {SEED})")
    parser.add_argument(
        "--minutes", type=float, default=MINUTES, help=f"for judging (default: {MINUTES})"
    )
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: all processors)"
    )
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="PATTERN",
        help="mutate only these modules, such as 'golden/reports/*.py'; may be repeated",
    )
    parser.add_argument(
        "--session", type=Path, default=Path(".mutants-python"), help="the folder to continue in"
    )
    parser.add_argument(
        "--out", type=Path, action="append", default=[], help="write FILE.json or FILE.md"
    )
    options = parser.parse_args(arguments)
    for path in options.out:
        if path.suffix not in (".json", ".md"):
            parser.error(f"--out: must end with .json or .md, not {str(path)!r}")
    root = Path(__file__).parents[3]
    print(f"seed {options.seed}", flush=True)
    faults = planted_faults()
    for each in faults:
        each.mutant(root)
    by_area = {
        area: [
            place
            for module in modules(root, area)
            if not options.only or any(fnmatch(module, each) for each in options.only)
            for place in places(root, module)
        ]
        for area in AREAS
    }
    session = Session(options.session.resolve(), root)
    wanted: list[Place | PlantedFault] = [*faults, *sample(by_area, options.seed)]
    verdicts = session.judge(wanted, options.minutes, options.jobs)
    kinds = {each.kind for each in faults}
    outcome = Outcome(
        seed=options.seed,
        only=options.only,
        totals={area: len(each) for area, each in by_area.items()},
        planted=[each for each in verdicts if each.kind in kinds],
        random=[each for each in verdicts if each.kind not in kinds],
        reasons=json.loads(REASONS_FILE.read_text("utf-8")),
    )
    text = outcome.to_markdown()
    print(text, end="")
    for path in options.out:
        content = to_json(outcome.to_mapping()) if path.suffix == ".json" else text
        write_whole(path, content.encode())
    return 0 if outcome.passed else 1


if __name__ == "__main__":
    sys.exit(main())
