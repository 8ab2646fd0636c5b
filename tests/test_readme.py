"""The READMEs are true: what they tell a reader with a clone to run runs, in order, and what they link to is there."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from unittest.mock import patch

import jaxtyping
import pytest
import torch

from tests.readme import DOCUMENTS, README, ROOT, Block, blocks, gate_block
from wavegrad.cli.main import main

LINK = re.compile(r"\]\((?!https?:)(?P<file>[^)#\s]*)(?:#(?P<section>[^)\s]+))?\)")
"""A link to a file of the repository, or to a section of one."""

INSTALL = re.compile(r"^(python3? -m )?pip install [^&;|\n]*$", re.MULTILINE)
"""A line that only installs. The gate has installed everything."""

COMMAND = re.compile(r"wavegrad( [\w./,:=-]+)+")
"""A command of ours with nothing that a shell would change."""

ELSEWHERE = "the front page runs it"


def run(found: list[Block], directory: Path) -> None:
    """Run Python and shell blocks one after the other in `directory`; the Python ones share their variables."""
    variables: dict[str, object] = {"__name__": "__main__"}
    for block in found:
        if block.ci or block.not_run:
            continue
        if block.language == "python":
            exec(compile("\n" * (block.line - 1) + block.code, README.name, "exec"), variables)
        elif block.language in ("sh", "bash"):
            run_shell(block, directory)


def run_shell(block: Block, directory: Path) -> None:
    """Run the commands of a block, less those that install; AssertionError with all they printed if one fails.

    Where all are plain commands of ours, this process does them, which has imported PyTorch.
    """
    code = INSTALL.sub("", block.code)
    assert "pip install" not in code, f"line {block.line}: a line that installs must do nothing else"
    commands = code.strip().splitlines()
    if all(COMMAND.fullmatch(command) for command in commands):
        for command in commands:
            run_command(command, block.line)
        return
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", code],
        cwd=directory,
        env=os.environ | {"PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, f"line {block.line}: exit code {done.returncode}\n{done.stdout}"


def run_command(command: str, line: int) -> None:
    """As in a terminal: warnings are no errors there."""
    with patch.object(sys, "argv", shlex.split(command)), warnings.catch_warnings():
        warnings.simplefilter("default")
        try:
            main()
        except SystemExit as end:
            if end.code:
                raise AssertionError(f"line {line}: exit code {end.code} of {command}") from end
        finally:
            torch.set_num_threads(1)


def each(documents: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("document", documents, ids=lambda path: path.relative_to(ROOT).as_posix())


@pytest.mark.timeout(600)
@each(DOCUMENTS)
def test_everything_in_it_runs(document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As at a reader's: without the checks of types, which would make it twice as long."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    for name in ("samples", "recipes"):
        shutil.copytree(ROOT / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    run(blocks(document.read_text(encoding="utf-8")), tmp_path)


@each(DOCUMENTS)
def test_no_block_escapes(document: Path) -> None:
    """A fence that is indented, or a language under another name, would not be run."""
    text = document.read_text(encoding="utf-8")
    found = blocks(text)
    assert text.count("```") == 2 * len(found)
    assert {block.language for block in found} <= {"python", "sh", "bash", "text", "toml", "json"}
    assert len(re.findall(r"<!-- *(?:ci|not run)", text)) == sum(bool(block.ci or block.not_run) for block in found)


@each(DOCUMENTS[1:])
def test_what_the_front_page_runs_is_on_it(document: Path) -> None:
    front = README.read_text(encoding="utf-8")
    for block in blocks(document.read_text(encoding="utf-8")):
        assert block.not_run != ELSEWHERE or f"\n{block.code}" in front, f"line {block.line}"


def sections(document: Path) -> set[str]:
    """The anchors of a page's headings: small letters, no punctuation, hyphens for spaces."""
    prose = re.sub(r"^```.*?^```$", "", document.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


CARDS = sorted(ROOT.glob("wavegrad/pretrained/*/README.md"))


@each([*DOCUMENTS, *CARDS, ROOT / ".github" / "CONTRIBUTING.md"])
def test_what_it_links_to_is_there(document: Path) -> None:
    for link in LINK.finditer(document.read_text(encoding="utf-8")):
        target = (document.parent / link["file"]).resolve() if link["file"] else document
        assert target.exists(), f"{document.name}: {link[0]}"
        assert link["section"] is None or link["section"] in sections(target), f"{document.name}: {link[0]}"


@each([*DOCUMENTS, *CARDS])
def test_tables_have_a_header_and_whole_rows(document: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", document.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        rows = [re.split(r"(?<!\\)\|", row.strip().strip("|")) for row in table.splitlines()]
        assert len(rows) > 2, table
        assert all(re.fullmatch(r" *:?-+:? *", cell) for cell in rows[1]), table
        assert {len(row) for row in rows} == {len(rows[0])}, table


def test_the_front_page_leads_to_all_others() -> None:
    linked = {(ROOT / link["file"]).resolve() for link in LINK.finditer(README.read_text(encoding="utf-8"))}
    pages = {page if page.is_file() else page / "README.md" for page in linked}
    assert set(DOCUMENTS[1:]) <= pages


@pytest.mark.parametrize("name", ["install-and-hear", "install-and-test"])
def test_set_up_is_one_command_that_starts_by_installing(name: str) -> None:
    command = gate_block(README.read_text(encoding="utf-8"), name).rstrip("\n").replace("\\\n", " ")
    assert re.fullmatch(r"pip install [^&;|\n]+ && [^\n]+", command)


EXAMPLE = """
<!-- ci: set-up -->
```sh
false
```
<!-- not run: it takes a day -->
```python
raise SystemExit
```
```python
x = 1
```
```text
anything
```
```bash
pip install nothing-of-this-name
echo finished > file
```
```python
from pathlib import Path

assert Path("file").read_text() == "finished\\n" and x == 1
```
"""


def test_blocks_run_in_order_and_marked_ones_do_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = blocks(EXAMPLE)
    assert [block.line for block in found] == [4, 8, 11, 14, 17, 21]
    assert gate_block(EXAMPLE, "set-up") == "false\n"
    run(found, tmp_path)
    assert (tmp_path / "file").read_text() == "finished\n"


@pytest.mark.parametrize(
    ("language", "code", "error"),
    [
        ("python", "x = 1\nassert x == 2\n", AssertionError),
        ("python", "print(undefined)\n", NameError),
        ("sh", "false\necho done\n", AssertionError),
        ("sh", "cat missing-file | wc -l\n", AssertionError),
        ("bash", "pip install one && true\n", AssertionError),
        ("sh", "wavegrad vocode nothing.wav --out out\n", AssertionError),
        ("sh", "wavegrad vocode nothing.wav --out out || false\n", AssertionError),
    ],
)
def test_a_block_that_fails_is_found(language: str, code: str, error: type[Exception], tmp_path: Path) -> None:
    with pytest.raises(error):
        run(blocks(f"```{language}\n{code}```\n"), tmp_path)
