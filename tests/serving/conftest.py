from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from graph.model_directory import ModelDirectory
from graph.pipeline import Pipeline
from serving.annotator import Annotator
from serving.description import Description, describe
from serving.http import http_app
from serving.settings import Settings
from tests import TASKS_FILE
from tests.serving.local import BODY_BYTES, LocalTrip


@pytest.fixture
def local(tiny_pipeline: Pipeline) -> LocalTrip:
    return LocalTrip(tiny_pipeline)


@pytest.fixture
def annotator(local: LocalTrip) -> Annotator:
    return Annotator(local.pipeline.tasks, local, Settings(body_bytes=BODY_BYTES))


@pytest.fixture
def description(tiny_model: Path) -> Description:
    return describe(ModelDirectory.open(tiny_model, TASKS_FILE), Settings())


@pytest.fixture
async def client(annotator: Annotator, description: Description) -> AsyncIterator[httpx.AsyncClient]:
    """Talks to all routes, over a graph of random weights in this process."""
    application = http_app(annotator, description)
    transport = httpx.ASGITransport(application, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://annotator") as opened:
        yield opened
