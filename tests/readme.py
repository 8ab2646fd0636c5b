"""The code blocks of README.md and of the READMEs it leads to. As a script, `python tests/readme.py NAME`
prints the block of README.md that is marked `<!-- ci: NAME -->`.

A comment directly above a block says who runs it:

    <!-- ci: NAME -->        the gate (.ci/run), which reads it from here
    <!-- not run: REASON --> nobody
    (none)                   test_readme.py, if it is Python or shell
"""

import re
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
DOCUMENTS = [
    README,
    *sorted(ROOT.glob("wavegrad/*/README.md")),
    ROOT / "recipes" / "README.md",
    ROOT / "samples" / "README.md",
]
"""Every page of documentation, the front page first."""
BLOCK = re.compile(
    r"(?:^<!-- (?P<who>ci|not run): (?P<what>[^\n]+?) -->\n)?^```(?P<language>\w*)\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """One fenced block."""

    language: str
    code: str
    line: int
    """Of its first line of code, counted from 1."""
    ci: str | None = None
    """Name by which the gate runs it."""
    not_run: str | None = None
    """Why nobody runs it."""


def blocks(text: str) -> list[Block]:
    """All fenced blocks of a README, in order."""
    return [
        Block(
            language=match["language"],
            code=match["code"],
            line=text.count("\n", 0, match.start("code")) + 1,
            ci=match["what"] if match["who"] == "ci" else None,
            not_run=match["what"] if match["who"] == "not run" else None,
        )
        for match in BLOCK.finditer(text)
    ]


def gate_block(text: str, name: str) -> str:
    """The code of the one block that is marked with `name` for the gate."""
    (block,) = (block for block in blocks(text) if block.ci == name)
    return block.code


if __name__ == "__main__":
    print(gate_block(README.read_text(encoding="utf-8"), sys.argv[1]), end="")
