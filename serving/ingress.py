"""The deployment that HTTP reaches: the routes of http.py over an `Annotator`."""

from collections.abc import Mapping
from typing import Any

from ray import serve
from ray.serve.handle import DeploymentHandle
from starlette.types import ASGIApp

from graph.model_directory import ModelDirectory
from serving.annotator import Annotator
from serving.description import describe
from serving.http import http_app
from serving.settings import Settings
from serving.trips import make_trip


@serve.deployment
@serve.ingress()
class Ingress:
    """Annotates what HTTP brings.

    Args:
        settings: the operator's choices.
        deployments: handles of the other deployments of the placement, by name.
    """

    def __init__(self, settings: Settings, deployments: Mapping[str, "DeploymentHandle[Any]"]) -> None:
        model = ModelDirectory.open(settings.model_path, settings.tasks_path)
        self._annotator = Annotator(model.tasks, make_trip(settings, deployments), settings)
        self._description = describe(model, settings)
        self._body_bytes = settings.body_bytes

    def __serve_build_asgi_app__(self) -> ASGIApp:
        """Called by Serve when the replica is built; the name is Serve's."""
        return http_app(self._annotator, self._description, self._body_bytes)

    def check_health(self) -> None:
        """Called by Serve; raises when a batch has not come back for too long."""
        self._annotator.check_progress()
