from tests.helpers.servers.fixtures import *  # noqa: F403
