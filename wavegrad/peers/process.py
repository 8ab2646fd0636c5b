"""Another vocoder in a process of its own."""

import contextlib
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from wavegrad.errors import ConfigError

HERE = Path(__file__).parent
PEERS = {name: HERE / f"{name}.py" for name in ("lmnt", "vocos", "bigvgan")}
"""What builds them."""


@dataclass(frozen=True)
class Facts:
    """What a peer says of itself."""

    package: str
    version: str
    computes: str
    parameters: int
    """Of its network."""
    seconds: float
    """Of audio that a call makes."""
    torch: str
    """The version of PyTorch that it runs on."""


def interpreter_of(environment: Path) -> Path:
    """The interpreter of a virtual environment; ConfigError if there is none."""
    for path in (environment / "bin" / "python", environment / "Scripts" / "python.exe"):
        if path.is_file():
            return path
    raise ConfigError(f"{environment} is no virtual environment: there is no bin/python in it")


class Peer:
    """A vocoder that is built, has made some audio, and waits to be timed; see `start_peer`.

    Raises:
        ConfigError: it could not be built.
    """

    def __init__(self, name: str, process: "subprocess.Popen[bytes]", said: IO[bytes]):
        self._name = name
        self._process = process
        self._said = said
        self.facts = Facts(**self._answer())

    def time(self) -> tuple[float, float]:
        """The seconds that it takes now to make its audio, and those of the processor. ConfigError if it fails."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended; the answer says why
            self._process.stdin.write(b"\n")
        seconds, of_processor = self._answer()
        return seconds, of_processor

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if line:
            return json.loads(line)
        code = self._process.wait()
        self._said.seek(0)
        last = [text for text in self._said.read().decode(errors="replace").splitlines() if text.strip()][-1:]
        raise ConfigError(f"{self._name} failed: {last[0] if last else f'exit code {code}'}")


@contextlib.contextmanager
def start_peer(
    name: str, script: Path, interpreter: Path, *, seconds: float, steps: int, threads: int
) -> Iterator[Peer]:
    """A peer, whose process ends with the context.

    Args:
        name: for messages.
        script: one of PEERS, or another file with a `build`.
        interpreter: of the environment in which its package is installed.
        seconds: of audio to make in a call.
        steps: of refinement, where it refines.
        threads: of the CPU.

    Raises:
        ConfigError: it cannot be built there; with the last line that it said.
    """
    command = [str(interpreter), "-I", str(HERE / "serve.py"), *map(str, (script, seconds, steps, threads))]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    with tempfile.TemporaryFile() as said:
        try:
            process = subprocess.Popen(
                command, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, env=environment
            )
        except OSError as error:
            raise ConfigError(f"{name} failed: {interpreter} cannot be run: {error.strerror}") from error
        with process:
            try:
                yield Peer(name, process, said)
            finally:
                process.kill()
