"""The deployment that HTTP reaches: the routes of http.py over an `Annotator`."""

from collections.abc import Mapping
from typing import Any

from ray import serve
from ray.serve.handle import DeploymentHandle
from starlette.applications import Starlette

from graph.tasks import load_tasks
from serving.annotator import Annotator
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
        self._annotator = Annotator(load_tasks(settings.tasks_path), make_trip(settings, deployments), settings)
        self._body_bytes = settings.body_bytes

    def __serve_build_asgi_app__(self) -> Starlette:
        """Called by Serve when the replica is built; the name is Serve's."""
        return http_app(self._annotator, self._body_bytes)

    def check_health(self) -> None:
        """Called by Serve; raises when a batch has not come back for too long."""
        self._annotator.check_progress()
