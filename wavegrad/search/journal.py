"""What has been computed, on disk, a line a task: an interrupted search goes on where it was."""

import json
import math
import os
from pathlib import Path
from typing import Any

from wavegrad.errors import ConfigError
from wavegrad.search.evaluator import Outcome

FORMAT_VERSION = 1


class Journal:
    """JSON lines: a head that says what the search is, then one outcome a line.

    A search is a function of its arguments and of the outcomes; so it is resumed by running it again, and every task
    that is in the journal is looked up instead of computed. A last line that was cut off is dropped.

    Args:
        path: made if it does not exist; None keeps everything in memory.
        identity: of the search; a journal of another one is refused.

    Raises:
        ConfigError: the file is no journal, is damaged, or belongs to another search.
    """

    def __init__(self, path: Path | None, identity: str):
        self.path = path
        self.outcomes: dict[str, Outcome] = {}
        self.seconds = 0.0
        """Time that the outcomes of earlier runs took."""
        self._head: dict[str, Any] = {"format_version": FORMAT_VERSION, "kind": "wavegrad-search", "identity": identity}
        if path is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        kept = text[: text.rfind("\n") + 1]
        self._read(kept.splitlines())
        if kept != text:
            os.truncate(path, len(kept.encode()))
        if not kept:
            self._append(self._head)

    def add(self, key: str, outcome: Outcome, seconds: float) -> None:
        """Remember an outcome; when this returns, it is on disk."""
        self.outcomes[key] = outcome
        scores = [score if math.isfinite(score) else None for score in outcome.scores]
        line = {"task": key, "scores": scores, "calls": outcome.calls, "shared": outcome.shared, "seconds": seconds}
        if self.path is not None:
            self._append(line)

    def _append(self, line: dict[str, Any]) -> None:
        assert self.path is not None
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def _read(self, lines: list[str]) -> None:
        for number, text in enumerate(lines, start=1):
            try:
                line = json.loads(text)
                if number == 1:
                    self._check_head(line)
                    continue
                scores = tuple(-math.inf if score is None else float(score) for score in line["scores"])
                self.outcomes[line["task"]] = Outcome(scores, line["calls"], line["shared"])
                self.seconds += line["seconds"]
            except ConfigError:
                raise
            except (ValueError, KeyError, TypeError) as error:
                raise ConfigError(f"{self.path}: line {number} is damaged; move the file away") from error

    def _check_head(self, head: Any) -> None:
        if not isinstance(head, dict) or head.get("kind") != self._head["kind"]:
            raise ConfigError(f"{self.path} is no journal of a search; name another file")
        if head != self._head:
            raise ConfigError(
                f"{self.path} belongs to a search with another model, other clips or other options; name another file"
            )
