"""Reads the queries of configs/dashboards/annotator.json."""

import json
import re
from typing import Any

import promql_parser
import yaml
from promql_parser import AggregateExpr, BinaryExpr, Call, MatrixSelector, ParenExpr, SubqueryExpr, VectorSelector

from serving.settings import PROJECT

FOLDER = PROJECT / "configs" / "dashboards"
DASHBOARD: dict[str, Any] = json.loads((FOLDER / "annotator.json").read_text("utf-8"))
PANELS: list[dict[str, Any]] = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
(SOURCE,) = yaml.safe_load((FOLDER / "datasource.yaml").read_text("utf-8"))["datasources"]
VALUES_OF = re.compile(r"label_values\((\w+), (\w+)\)")


def queries() -> list[str]:
    """The queries of all panels, as they are written."""
    return [target["expr"] for panel in PANELS for target in panel["targets"]]


def variables() -> list[tuple[str, str]]:
    """Metric and label whose values a variable of the dashboard takes on."""
    found = [VALUES_OF.fullmatch(variable["query"]) for variable in DASHBOARD["templating"]["list"]]
    return [(match[1], match[2]) for match in found if match]


def metrics(query: str) -> set[str]:
    """Names of the metrics that a query selects."""
    return {str(part.name) for part in _parts(_parse(query)) if isinstance(part, VectorSelector)}


def named_labels(query: str) -> set[str]:
    """Labels by which a query groups."""
    return {label for part in _parts(_parse(query)) if isinstance(part, AggregateExpr) for label in _labels(part)}


def needed(query: str) -> set[tuple[str, str]]:
    """Metric and label, for each label that a metric must have for the query to mean something."""
    return _needed(_parse(query), set())


def _needed(part: Any, outer: set[str]) -> set[tuple[str, str]]:
    if isinstance(part, VectorSelector):
        return {(str(part.name), label) for label in outer | {matcher.name for matcher in part.matchers.matchers}}
    if isinstance(part, AggregateExpr):
        outer = _labels(part)
    return {pair for inner in _inner(part) for pair in _needed(inner, outer)}


def _parse(query: str) -> Any:
    # Grafana's own variables are no PromQL.
    return promql_parser.parse(query.replace("$__rate_interval", "1m").replace("$route", ".*"))


def _parts(part: Any) -> list[Any]:
    return [part, *(below for inner in _inner(part) for below in _parts(inner))]


def _inner(part: Any) -> list[Any]:
    if isinstance(part, MatrixSelector):
        return [part.vector_selector]
    if isinstance(part, Call):
        return list(part.args)
    if isinstance(part, BinaryExpr):
        return [part.lhs, part.rhs]
    if isinstance(part, AggregateExpr | ParenExpr | SubqueryExpr):
        return [part.expr]
    return []


def _labels(part: AggregateExpr) -> set[str]:
    return set(part.modifier.labels) if part.modifier else set()
