import pytest

from facehash.errors import InputError
from tools import demo_search


@pytest.mark.parametrize(
    "error, code, printed",
    [
        (None, 0, ""),
        (KeyboardInterrupt(), 130, ""),
        (InputError("127.0.0.1:80: cannot be listened on"), 2, "demo_search: 127.0.0.1:80: cannot"),
    ],
)
def test_the_demo_ends_without_a_traceback(monkeypatch, capsys, error, code, printed):
    def main():
        if error is not None:
            raise error

    monkeypatch.setattr(demo_search, "main", main)
    assert demo_search.run() == code
    err = capsys.readouterr().err
    assert err.startswith(printed) and err.count("\n") == bool(printed)
