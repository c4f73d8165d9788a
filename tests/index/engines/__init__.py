import pytest

pytest.register_assert_rewrite(
    "tests.index.engines.content", "tests.index.engines.crashes", "tests.index.engines.faults"
)
