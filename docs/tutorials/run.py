"""Run the tutorials and write what they print into them: python docs/tutorials/run.py [NAME ...]

In a tutorial's Markdown a comment before a fenced block says what becomes of it; all share one new folder:

    <!-- file: NAME -->        it is written to NAME
    <!-- run -->               it is run by bash, and its output replaces the block between <!-- output --> and
                               <!-- /output --> behind it; with `<!-- run: tail=8 -->` only the last lines
    <!-- figure: PATH -->      PATH of that folder is copied to figures/TUTORIAL-NAME beside the tutorials
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
STEP = re.compile(
    r"<!-- (?P<kind>file|run|figure)(?:: (?P<value>[^\n]*?))? -->\n"
    r"(?:\n?```\w+\n(?P<code>.*?)```\n(?P<shown>\n<!-- output -->\n.*?<!-- /output -->\n)?)?",
    re.DOTALL,
)
BAR = re.compile(r"^.*(?:━|\x1b|it/s).*$")


def outputs(text: str, folder: Path, tutorial: str, figures: Path) -> str:
    """The tutorial's text with new outputs.

    :raises RuntimeError: if a command fails
    """

    def step(found: re.Match[str]) -> str:
        value = found["value"] or ""
        if found["kind"] == "file":
            (folder / value).write_text(found["code"], encoding="utf-8")
        elif found["kind"] == "figure":
            figures.mkdir(exist_ok=True)
            shutil.copy(folder / value, figures / f"{tutorial}-{Path(value).name}")
        else:
            shown = printed(found["code"], folder, int(value.removeprefix("tail=") or 0))
            whole = found[0].removesuffix(found["shown"] or "")
            return f"{whole}\n<!-- output -->\n```text\n{shown}\n```\n<!-- /output -->\n"
        return found[0]

    return STEP.sub(step, text)


def printed(code: str, folder: Path, tail: int) -> str:
    """What the commands print, without bars and without the folder's name; the last ``tail`` lines, 0: all."""
    plain = {"COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb", "OMP_NUM_THREADS": "1"}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", code],
        cwd=folder,
        env={**os.environ, **plain, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"exit code {done.returncode} of\n{code}\n{done.stdout}")
    lines = [line.rstrip() for line in done.stdout.replace(f"{folder}/", "").split("\n") if not BAR.match(line)]
    return "\n".join([line for line in lines if line][-tail:])


def main(names: list[str]) -> None:
    """Run the named tutorials, or all."""
    for page in sorted(HERE.glob("*.md")):
        if not names or page.stem in names:
            with tempfile.TemporaryDirectory() as folder:
                new = outputs(page.read_text(encoding="utf-8"), Path(folder), page.stem, HERE / "figures")
            page.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
