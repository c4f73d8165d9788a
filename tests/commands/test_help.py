import pytest

import facehash as package

COMMANDS = (
    "index search verify photos encode bench forget check rebuild export stats people_list "
    "people_name people_merge people_rename weights_list weights_fetch weights_add"
).split()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_shows_an_example(facehash, command):
    words = command.split("_")
    code, out, _ = facehash(*words, "--help")
    assert code == 0 and f"Example: facehash {' '.join(words)}" in " ".join(out.split())


def test_the_help_lists_all_commands(facehash):
    code, out, _ = facehash("--help")
    assert code == 0 and "Find, compare and search faces in photos" in out
    assert {command.partition("_")[0] for command in COMMANDS} <= set(out.split())


def test_the_version_is_printed(facehash):
    assert facehash("--version") == (0, f"facehash {package.__version__}\n", "")


def test_a_wrong_command_is_one_line(facehash):
    for words in (["weigths"], ["weights", "lsit"], ["encode"], []):
        code, _, err = facehash(*words)
        assert code == 2 and err.count("\n") == 1 and "facehash --help" in err
