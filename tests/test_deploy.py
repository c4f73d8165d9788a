"""The servers that deploy/compose.yaml starts are reachable from their machine only."""

import re

import pytest
import yaml

from facehash.index.engines.connect import KINDS
from tests.conftest import ROOT

COMPOSE = ROOT / "deploy" / "compose.yaml"
SERVICES = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]


@pytest.mark.parametrize("name", SERVICES)
def test_a_server_listens_on_loopback_with_a_password_and_keeps_its_data(name):
    service = SERVICES[name]
    assert name in KINDS
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    variable = f"{name.upper()}_PASSWORD"
    assert f"${{{variable}-}}" in service["environment"].values()
    [volume] = service["volumes"]
    assert volume.split(":")[0] == name
    # A version, so that the same server starts tomorrow.
    assert re.search(r":[\d.]+", service["image"])
    assert f"{variable}=..." in COMPOSE.read_text(encoding="utf-8")


def test_what_was_not_tried_is_said():
    assert "UNTESTED" in COMPOSE.read_text(encoding="utf-8")
