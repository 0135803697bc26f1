"""Running tools: no failure in a pipe goes unseen."""

import pytest

from moodbiome.tools import ToolError, require_equal, run_pipe


def test_a_pipe_feeds_one_command_to_the_next(tmp_path):
    run_pipe([["printf", "b\\na\\n"], ["sort"]], tmp_path / "log", stdout=tmp_path / "out")
    assert (tmp_path / "out").read_text() == "a\nb\n"


def test_the_first_command_reads_what_it_is_fed(tmp_path):
    pieces = (b"%d\n" % number for number in (2, 1, 3))
    run_pipe([["cat"], ["sort"]], tmp_path / "log", stdout=tmp_path / "out", feed=pieces)
    assert (tmp_path / "out").read_text() == "1\n2\n3\n"


def test_a_command_that_stops_reading_fails_by_its_code(tmp_path):
    pieces = (b"x" * 100_000 for _ in range(100))
    with pytest.raises(ToolError, match=r"sh ended with code 3; (.|\n)*no more"):
        run_pipe([["sh", "-c", "echo no more >&2; exit 3"]], tmp_path / "log", feed=pieces)
    assert next(pieces, None) is not None


def test_a_feed_that_breaks_ends_the_command(tmp_path):
    def pieces():
        yield b"1\n"
        raise OSError("reads.gz is cut short")

    with pytest.raises(OSError, match="cut short"):
        run_pipe([["cat"]], tmp_path / "log", stdout=tmp_path / "out", feed=pieces())


def test_what_the_tools_say_is_returned_and_logged(tmp_path):
    said = run_pipe([["sh", "-c", "echo words >&2"]], tmp_path / "log")
    assert said == "words\n"
    assert (tmp_path / "log").read_text() == "$ sh -c 'echo words >&2'\nwords\n"


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_failure_anywhere_in_the_pipe_is_an_error(tmp_path, place):
    commands = [["true"], ["cat"], ["cat"]]
    commands[place] = ["sh", "-c", "echo broken >&2; exit 3"]
    with pytest.raises(ToolError, match=r"sh ended with code 3; (.|\n)*broken"):
        run_pipe(commands, tmp_path / "log")


def test_a_missing_tool_is_named(tmp_path):
    with pytest.raises(ToolError, match="no-such-tool is not installed"):
        run_pipe([["true"], ["no-such-tool"]], tmp_path / "log")


def test_both_numbers_are_said():
    require_equal("reads", 3, 3, "sample S1")
    with pytest.raises(ToolError, match="sample S1: reads: 2 of 3 given"):
        require_equal("reads", 3, 2, "sample S1")
