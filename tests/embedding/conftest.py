"""The contract is a class of tests in another module: its assertions are rewritten as those of tests."""

import pytest

pytest.register_assert_rewrite("support.mounted_contract")
