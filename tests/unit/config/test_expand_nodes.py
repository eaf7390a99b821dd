"""The nodes that a request means."""

import pytest

from cucmd.config import ClusterSettings, Config, InvalidValue

CONFIG = Config(
    clusters={
        "lab": ClusterSettings("lab", "pub", ("sub1", "sub2:2022")),
        "small": ClusterSettings("small", None, ("solo",)),
    }
)


def test_a_cluster_stands_for_its_publisher_and_nodes():
    assert CONFIG.expand(["lab"]) == ("pub", "sub1", "sub2:2022")
    assert CONFIG.expand(["small", "other"]) == ("solo", "other")


def test_order_is_kept_and_nodes_named_twice_are_taken_once():
    assert CONFIG.expand(["SUB1:22", "lab", "x", "x", "10.0.0.1", "10.0.0.1:22"]) == (
        "SUB1:22",
        "pub",
        "sub2:2022",
        "x",
        "10.0.0.1",
    )


@pytest.mark.parametrize(
    ("nodes", "parameter", "reason"),
    [
        ([], "nodes", "is empty"),
        (["a", "b c"], "nodes[1]", "'b c': expected a host name"),
        (["lab", "host:99999"], "nodes[1]", "port"),
        (["../x"], "nodes[0]", "host name"),
    ],
)
def test_names_that_cannot_be_nodes(nodes, parameter, reason):
    with pytest.raises(InvalidValue) as caught:
        CONFIG.expand(nodes)
    assert caught.value.parameter == parameter
    assert reason in caught.value.reason
