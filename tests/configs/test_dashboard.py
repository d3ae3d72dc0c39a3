"""What can be known of the dashboard without a service: every query is PromQL and names only labels that it keeps."""

from typing import Any

import pytest

from tests.configs.dashboard import PANELS, SOURCE, metrics, named_labels, queries


def test_every_panel_asks_the_source_that_is_provisioned() -> None:
    assert len(PANELS) > 10
    for panel in PANELS:
        assert panel["title"]
        assert panel["description"]
        assert {target["datasource"]["uid"] for target in panel["targets"]} == {SOURCE["uid"]}


def test_panels_lie_beside_each_other() -> None:
    places = {(x, y) for p in PANELS for x in columns(p) for y in rows(p)}
    assert len(places) == sum(len(columns(p)) * len(rows(p)) for p in PANELS)
    assert max(x for x, _ in places) < 24


def columns(panel: dict[str, Any]) -> range:
    place = panel["gridPos"]
    return range(place["x"], place["x"] + place["w"])


def rows(panel: dict[str, Any]) -> range:
    place = panel["gridPos"]
    return range(place["y"], place["y"] + place["h"])


@pytest.mark.parametrize("query", queries())
def test_a_query_asks_for_what_this_service_or_serve_exports(query: str) -> None:
    found = metrics(query)
    assert found
    assert all(name.startswith(("ray_annotator_", "ray_serve_")) for name in found)


@pytest.mark.parametrize(("query", "legend"), [(t["expr"], t["legendFormat"]) for p in PANELS for t in p["targets"]])
def test_a_legend_shows_all_labels_that_a_query_keeps_and_no_other(query: str, legend: str) -> None:
    kept = {label.strip(" {}") for label in legend.split() if label.startswith("{{")}
    assert kept == named_labels(query) - {"le"}
