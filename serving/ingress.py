"""The deployment that HTTP reaches: the routes of http.py over an `Annotator`."""

import logging
from collections.abc import Mapping
from typing import Any

from ray import serve
from ray.serve.handle import DeploymentHandle
from starlette.types import ASGIApp

from graph.model_directory import ModelDirectory
from serving.annotator import Annotator
from serving.description import describe
from serving.http import http_app
from serving.middleware.keys import load_keys
from serving.settings import Settings
from serving.trips import make_trip
from serving.tuning import TuningError

logger = logging.getLogger("ray.serve")


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
        self._keys = load_keys(settings)
        self._started = False

    def __serve_build_asgi_app__(self) -> ASGIApp:
        """Called by Serve when the replica is built; the name is Serve's."""
        return http_app(self._annotator, self._description, self._keys)

    def reconfigure(self, user_config: Mapping[str, Any]) -> None:
        """Called by Serve with the deployment's user_config, before the first request and whenever it changes.

        A wrong one keeps a new replica from starting. In one that runs it changes nothing: to raise there would make
        Serve end a replica that works.
        """
        try:
            self._annotator.tune(user_config)
        except TuningError as error:
            if not self._started:
                raise
            logger.error("user_config is refused, and the one before stays in force: %s", error)

    def check_health(self) -> None:
        """Called by Serve; raises when a batch has not come back for too long."""
        self._started = True  # the first call is Serve's last step before it sends requests
        self._annotator.check_progress()
