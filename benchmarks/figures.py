"""Runs the commands of the home and quality pages and names the lines that differ.

    make figures DATA=data
    .venv/bin/python benchmarks/figures.py data [docs/quality.md …]

The pages are the script: each `$` line of a `console` block is run as it stands, and each line that
the page shows (in a `text` block too: more of the same output) is looked for in what it prints.
`…` stands for lines left out. Times taken may differ. Exits 1 where another line does.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = tuple(ROOT / "docs" / f"{name}.md" for name in ("index", "quality", "quality_text"))
FILES = (
    "cdnow/CDNOW_master.txt",
    "cdnow/CDNOW_sample.txt",
    "online_retail_ii/year_2009_2010.parquet",
    "online_retail_ii/year_2010_2011.parquet",
    "reviews/Gift_Cards_5.json.gz",
    "reviews/womens_clothing_1000.csv",
    "olist_merged",
)
BLOCK = re.compile(r"^```(?:console|text)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LEFT_OUT = "…"
SECONDS = re.compile(r"\d+(\.\d+)? s\b")


@dataclass
class Step:
    """A command of a page and the lines that the page shows of its output."""

    command: str
    shown: list[str] = field(default_factory=list)


def read_steps(page: Path) -> list[Step]:
    """The commands of a page in order; a block without one goes on with the last."""
    steps: list[Step] = []
    for body in BLOCK.findall(page.read_text(encoding="utf-8")):
        is_continued = False
        for line in body.splitlines():
            if is_continued:
                steps[-1].command += "\n" + line
            elif line.startswith("$ "):
                steps.append(Step(line[2:]))
            elif line.strip() and line != LEFT_OUT:
                steps[-1].shown.append(line)
                continue
            is_continued = line.endswith("\\")
    return steps


def run(step: Step, folder: Path) -> list[str]:
    """The lines that the command prints to stdout, which are printed here as they come."""
    print(f"$ {step.command}", flush=True)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    lines = []
    with subprocess.Popen(
        ["bash", "-e", "-u", "-c", step.command],
        cwd=folder,
        env={**os.environ, "PATH": path},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        for line in process.stdout or ():
            print(line, end="", flush=True)
            lines.append(line.rstrip())
    if process.returncode:
        raise SystemExit(f"exit code {process.returncode}: {step.command}")
    return lines


def differences(step: Step, printed: list[str]) -> list[str]:
    """The lines of the page that the command did not print."""
    found = {SECONDS.sub("# s", line) for line in printed}
    return [line for line in step.shown if SECONDS.sub("# s", line.rstrip()) not in found]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="The folder with the files named above.")
    parser.add_argument("pages", type=Path, nargs="*", default=list(PAGES))
    arguments = parser.parse_args()
    missing = [name for name in FILES if not (arguments.data / name).exists()]
    if missing:
        parser.error(f"{arguments.data} has no {', '.join(missing)}")
    other: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "benchmarks").symlink_to(ROOT / "benchmarks")
        for file in FILES:
            (folder / Path(file).name).symlink_to((arguments.data / file).resolve())
        for page in arguments.pages:
            for step in read_steps(page):
                lines = differences(step, run(step, folder))
                other += [f"{page.name}: {line}" for line in lines]
    print(f"\n{len(other)} lines of the pages came out otherwise", *other, sep="\n")
    raise SystemExit(bool(other))


if __name__ == "__main__":
    main()
