from facehash.runs.environment import describe_environment, git_commit


def test_the_environment_names_versions_and_no_path():
    environment = describe_environment("jax", "cpu", 7)
    assert environment["backend"] == "jax"
    assert environment["seed"] == 7
    assert {"keras", "numpy", "facehash"} <= environment["packages"].keys()
    assert "/" not in str({**environment, "git_commit": None})


def test_without_git_there_is_no_commit(monkeypatch):
    assert git_commit() is None or len(git_commit()) >= 40
    monkeypatch.setenv("PATH", "")
    assert git_commit() is None
