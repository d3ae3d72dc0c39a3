"""The application of a Serve config on a cluster that this process has joined: deployed, waited for, looked at."""

import contextlib
import dataclasses
import json
import threading
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any

# First, for it sets what Ray reads when it is imported.
from serving.lifecycle.cluster import one_line
from serving.lifecycle.preflight import StartError

# isort: split
import yaml
from pydantic import ValidationError
from ray import serve
from ray.exceptions import RayError
from ray.serve.context import _get_global_client
from ray.serve.exceptions import RayServeException
from ray.serve.schema import ApplicationStatus, ApplicationStatusOverview, ServeDeploySchema

FAILED = (ApplicationStatus.DEPLOY_FAILED, ApplicationStatus.UNHEALTHY)
FAILED_SECONDS = 10
"""A replica that is late fails a deployment, and comes all the same."""
PAUSE_SECONDS = 0.5
RUNNING_SECONDS = 170
"""Less than the launcher waits for an answer: what does not run has a better reason than that."""


def run(config: ServeDeploySchema) -> None:
    """Start Serve and the application of a config, and wait until it runs.

    Raises:
        StartError: it does not.
    """
    starting: Future[None] = Future()
    # Of its own, for it waits for the front ends, and the application's processes can start meanwhile; and a daemon,
    # so that nobody waits for front ends that never come.
    threading.Thread(target=start_serve, args=(config, starting), daemon=True).start()
    try:
        wait_for_controller(starting)
        deploy(config)
        wait_until_running(RUNNING_SECONDS)
        starting.result(RUNNING_SECONDS)
    except (RayError, RayServeException, TimeoutError) as error:
        raise StartError(f"Serve could not be started: {one_line(str(error))}") from error


def start_serve(config: ServeDeploySchema, starting: "Future[None]") -> None:
    """Start Serve's controller and front ends; `starting` is done when they are there, or cannot be had."""
    try:
        serve.start(
            config.proxy_location,
            config.http_options.model_dump(),
            config.grpc_options.model_dump(),
            controller_options=config.controller_options,
        )
    except Exception as error:
        starting.set_exception(error)
    else:
        starting.set_result(None)


def wait_for_controller(starting: "Future[None]") -> None:
    """Wait until Serve can be told what to run; raises why it could not be started."""
    while not starting.done():
        with contextlib.suppress(RayServeException):
            _get_global_client()
            return
        time.sleep(0.05)
    starting.result()


def read_schema(path: Path) -> ServeDeploySchema:
    """A Serve config as Serve understands it.

    Raises:
        StartError: it has what Serve does not know, or lacks what it needs.
    """
    try:
        return ServeDeploySchema.model_validate(yaml.safe_load(path.read_text("utf-8")))
    except ValidationError as error:
        first = error.errors()[0]
        raise StartError(f"{path}: {'.'.join(map(str, first['loc']))}: {one_line(first['msg'])}") from error


def deploy(config: ServeDeploySchema) -> None:
    """Tell Serve what is to run from now on; what runs is not touched where it cannot be told.

    Raises:
        StartError: it cannot be told.
    """
    try:
        client = _get_global_client()
        if client is None:
            raise StartError("Serve is not there")
        client.deploy_apps(config)
    except (RayError, RayServeException) as error:
        raise StartError(f"Serve does not take the config: {one_line(str(error))}") from error


def wait_until_running(patience_s: float) -> None:
    """Wait until Serve says that what it was last told to run is running.

    Raises:
        StartError: it does not in time, or Serve has given up.
    """
    deadline = time.monotonic() + patience_s
    good_until = time.monotonic()
    while time.monotonic() < deadline:
        applications = serve.status().applications.values()
        states = {application.status for application in applications}
        if states == {ApplicationStatus.RUNNING}:
            return
        if not states & set(FAILED):
            good_until = time.monotonic()
        elif time.monotonic() - good_until > FAILED_SECONDS:
            raise StartError(f"Serve says: {one_line(' '.join(map(_message, applications)))}")
        time.sleep(PAUSE_SECONDS)
    raise StartError(f"the application does not run after {patience_s:g} s")


def status() -> dict[str, Any]:
    """Applications, their deployments, how many replicas are in which state, and what each has to say, as JSON."""
    told: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(serve.status())))
    return told


def _message(application: ApplicationStatusOverview) -> str:
    return " ".join([application.message, *(deployment.message for deployment in application.deployments.values())])
