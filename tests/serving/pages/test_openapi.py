import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import jsonschema
import pytest
import schemathesis
from starlette.applications import Starlette

from serving.annotator import Annotator
from serving.description import Description
from serving.errors import AnnotatorError, Unavailable
from serving.http import http_app
from tests.serving.local import LocalTrip

METHODS = {"get", "post", "put", "patch", "delete"}


@pytest.fixture
async def document(client: httpx.AsyncClient) -> Any:
    answer = await client.get("/openapi.json")
    assert answer.status_code == 200
    return answer.json()


def media_of(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every body in the document with a place to find it by."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            bodies = {"request": operation.get("requestBody", {}), **operation["responses"]}
            for name, body in bodies.items():
                for kind, media in body.get("content", {}).items():
                    yield f"{method} {path} {name} {kind}", media


def test_every_route_is_in_the_document_and_nothing_else(
    document: dict[str, Any], annotator: Annotator, description: Description
) -> None:
    application = http_app(annotator, description)
    while not isinstance(application, Starlette):
        application = application._app  # type: ignore[attr-defined]
    served = {
        (route.path, method.lower())  # type: ignore[attr-defined]
        for route in application.routes
        for method in route.methods - {"HEAD"}  # type: ignore[attr-defined]
    }
    told = {(path, method) for path, operations in document["paths"].items() for method in METHODS & set(operations)}
    assert told == served


def test_it_is_openapi_3_1(document: dict[str, Any]) -> None:
    schemathesis.openapi.from_dict(document).validate()
    assert document["openapi"].startswith("3.1.")
    identifiers = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]
    assert len(set(identifiers)) == len(identifiers)


def test_every_example_fits_its_schema(document: dict[str, Any]) -> None:
    checked = 0
    for place, media in media_of(document):
        examples = {name: example["value"] for name, example in media.get("examples", {}).items()}
        for name, example in {**examples, **({"asked": media["example"]} if "example" in media else {})}.items():
            schema = {**media["schema"], "components": document["components"]}
            errors = list(jsonschema.Draft202012Validator(schema).iter_errors(example))
            assert errors == [], f"{place}: {name}"
            checked += 1
    assert checked > 30


async def test_the_examples_are_what_the_service_answers(client: httpx.AsyncClient, document: dict[str, Any]) -> None:
    for path in ("/v1/annotate", "/model", "/batch_model"):
        operation = document["paths"][path]["post"]
        asked = operation["requestBody"]["content"]["application/json"]["example"]
        shown = operation["responses"]["200"]["content"]["application/json"]["examples"]["example"]["value"]
        assert (await client.post(path, json=asked)).json() == shown


def test_the_mistakes_that_are_shown_have_got_their_errors(document: dict[str, Any]) -> None:
    responses = document["paths"]["/v1/annotate"]["post"]["responses"]
    refused = responses["422"]["content"]["application/json"]["examples"]
    assert {name: example["value"]["error"]["type"] for name, example in refused.items()} == {
        "wrong type": "invalid_field",
        "too long": "too_long",
    }
    infer = document["paths"]["/v2/models/{name}/infer"]["post"]["responses"]
    assert "422" not in infer
    assert isinstance(infer["400"]["content"]["application/json"]["examples"]["wrong shape"]["value"]["error"], str)


def test_the_tasks_are_those_that_are_served(document: dict[str, Any], local: LocalTrip) -> None:
    schemas = document["components"]["schemas"]
    assert schemas["TaskName"]["enum"] == list(local.pipeline.heads)
    for task in local.pipeline.tasks:
        assert list(schemas["Annotation"]["properties"][task.name]["properties"]) == list(task.labels)


def test_every_error_is_told_somewhere(document: dict[str, Any]) -> None:
    told = str([operation["responses"] for path in document["paths"].values() for operation in path.values()])
    for error in AnnotatorError.__subclasses__():
        assert error.type == "wrong_method" or f"`{error.type}`" in told


async def test_a_disturbed_service_still_tells_its_document_and_mends_it_later(
    client: httpx.AsyncClient, local: LocalTrip
) -> None:
    local.error = Unavailable("not yet")
    disturbed = (await client.get("/openapi.json")).json()
    local.error = None
    whole = (await client.get("/openapi.json")).json()
    assert set(disturbed["paths"]) == set(whole["paths"])
    assert "examples" not in disturbed["paths"]["/model"]["post"]["responses"]["200"]["content"]["application/json"]
    assert "examples" in whole["paths"]["/model"]["post"]["responses"]["200"]["content"]["application/json"]


async def test_it_is_written_once_until_the_tuning_changes(
    client: httpx.AsyncClient, local: LocalTrip, annotator: Annotator
) -> None:
    first, *others = await asyncio.gather(*(client.get("/openapi.json") for _ in range(5)))
    assert all(other.content == first.content for other in others)
    batches = len(local.batches)
    assert batches < 2 * len(first.json()["paths"])
    assert (await client.get("/openapi.json")).content == first.content
    assert len(local.batches) == batches
    annotator.tune({"thresholds": {"toxic_classification": 0.9}})
    assert (await client.get("/openapi.json")).content != first.content
