"""Running command-line tools: every exit code looked at, every word they say kept in the log."""

import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path


class ToolError(RuntimeError):
    """A tool failed, or its own count is not what went in."""


def run_pipe(commands: Sequence[Sequence[str]], log: Path, stdout: Path | None = None) -> str:
    """Run commands as one pipe and return what they wrote to standard error.

    Parameters
    ----------
    commands
        Each command as a list of words; the first reads no input, each other one its forerunner.
    log
        Receives the command line and all standard error, appended.
    stdout
        File for the last command's output; the log otherwise.

    Raises
    ------
    ToolError
        If any command of the pipe, not only the last, ends with another code than 0; the message
        holds the last lines of the log.
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
                feed = processes[-1].stdout if processes else subprocess.DEVNULL
                out = sink if last else subprocess.PIPE
                process = subprocess.Popen(command, stdin=feed, stdout=out, stderr=messages)
                processes.append(process)
                if len(processes) > 1 and feed is not subprocess.DEVNULL:
                    # Ours must be closed, or the forerunner never learns that its reader is gone.
                    feed.close()  # type: ignore[union-attr]
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
        tail = "\n".join(said.splitlines()[-5:])
        raise ToolError(f"{which}; its last words in {log}:\n{tail}")
    return said


def require_equal(what: str, given: int, found: int, place: str) -> None:
    """Raise ToolError with both numbers if a step did not account for all it was given.

    >>> require_equal("fragments read by fastp", 10, 9, "sample S1, run 1, clean_reads")
    Traceback (most recent call last):
    moodbiome.tools.ToolError: sample S1, run 1, clean_reads: fragments read by fastp: 9 of 10 given
    """
    if given != found:
        raise ToolError(f"{place}: {what}: {found} of {given} given")
