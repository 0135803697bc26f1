"""Running command-line tools: every exit code looked at, every word they say kept in the log.

What is said of a disk without space, by tools and by Python, is put into words here too.
"""

import contextlib
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from os import PathLike
from pathlib import Path

_NO_SPACE = "No space left on device"
# Threads of Kraken2 that wait for one another sleep: beside busy neighbours, spinning made the
# build of a database take more than twice as long.
_QUIET = {"OMP_WAIT_POLICY": "passive"}


class ToolError(RuntimeError):
    """A tool failed, or its own count is not what went in."""


def run_pipe(
    commands: Sequence[Sequence[str]],
    log: Path,
    stdout: Path | None = None,
    feed: Iterable[bytes] | None = None,
) -> str:
    """Run commands as one pipe and return what they wrote to standard error.

    Parameters
    ----------
    commands
        Each command as a list of words; the first reads no input, each other one its forerunner.
    log
        Receives the command line and all standard error, appended.
    stdout
        File for the last command's output; the log otherwise.
    feed
        What the first command reads, in pieces; nothing otherwise.

    Raises
    ------
    ToolError
        If any command of the pipe, not only the last, ends with another code than 0; the message
        holds the last lines of the log, and an earlier one that tells of a full disk.
    """
    with log.open("ab") as messages:
        line = " | ".join(shlex.join(command) for command in commands)
        messages.write(f"$ {line}\n".encode())
        messages.flush()
        start = messages.tell()
        sink = stdout.open("wb") if stdout else messages
        processes: list[subprocess.Popen[bytes]] = []
        try:
            for command in commands:
                last = len(processes) == len(commands) - 1
                first = subprocess.DEVNULL if feed is None else subprocess.PIPE
                source = processes[-1].stdout if processes else first
                out = sink if last else subprocess.PIPE
                process = subprocess.Popen(
                    command, stdin=source, stdout=out, stderr=messages, env={**_QUIET, **os.environ}
                )
                processes.append(process)
                if len(processes) > 1:
                    # Ours must be closed, or the forerunner never learns that its reader is gone.
                    source.close()  # type: ignore[union-attr]
            if feed is not None:
                _write_all(feed, processes)
            codes = [process.wait() for process in processes]
        except FileNotFoundError as error:
            for process in processes:
                process.kill()
            raise ToolError(f"{error.filename} is not installed (see README, Software)") from error
        finally:
            if stdout:
                sink.close()
    said = log.read_bytes()[start:].decode(errors="replace")
    failed = [(command[0], code) for command, code in zip(commands, codes, strict=True) if code]
    if failed:
        which = ", ".join(f"{tool} ended with code {code}" for tool, code in failed)
        lines = said.splitlines()
        # Later words of the tools before it in the pipe would hide the cause.
        full = [line for line in lines[:-5] if _NO_SPACE in line][:1]
        tail = "\n".join([*full, *lines[-5:]])
        raise ToolError(f"{which}; its last words in {log}:\n{tail}")
    return said


def _write_all(feed: Iterable[bytes], processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Give the first process all it is to read; one that ends before is told by its code."""
    sink = processes[0].stdin
    assert sink is not None
    try:
        with contextlib.suppress(BrokenPipeError), sink:
            for piece in feed:
                sink.write(piece)
    except BaseException:
        for process in processes:
            process.kill()
            process.wait()
        raise


def not_written_whole(file: Path, tool: str) -> ToolError:
    """The error for a file that is cut short although its tool ended with success.

    fastp 0.23.2 and Kraken2 2.1.2 do not notice that a disk is full: they end with code 0, and the
    file holds what went before. Callers must therefore hold such files against a count.
    """
    free = shutil.disk_usage(file.parent).free
    return ToolError(
        f"{file}: cut short, though {tool} ended with success: no space left on its disk "
        f"({free / 2**20:.1f} MiB are free now)? Make room there and run again"
    )


@contextlib.contextmanager
def writing(path: str | PathLike[str]) -> Iterator[None]:
    """Name the file in an error of its disk, which Python leaves out when a write fails.

    >>> with writing("results/scores.tsv"):
    ...     raise OSError(28, "No space left on device")
    Traceback (most recent call last):
    OSError: [Errno 28] No space left on device: 'results/scores.tsv'
    """
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise


def require_equal(what: str, given: int, found: int, place: str) -> None:
    """Raise ToolError with both numbers if a step did not account for all it was given.

    >>> require_equal("fragments read by fastp", 10, 9, "sample S1, run 1, clean_reads")
    Traceback (most recent call last):
    moodbiome.tools.ToolError: sample S1, run 1, clean_reads: fragments read by fastp: 9 of 10 given
    """
    if given != found:
        raise ToolError(f"{place}: {what}: {found} of {given} given")
