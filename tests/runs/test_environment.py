from facehash.runs.environment import describe_environment


def test_the_environment_names_versions_and_no_path():
    environment = describe_environment("jax", "cpu", 7)
    assert environment["backend"] == "jax"
    assert environment["seed"] == 7
    assert {"keras", "numpy", "facehash"} <= environment["packages"].keys()
    assert "/" not in str({**environment, "git_commit": None})
