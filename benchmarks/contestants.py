"""Who takes part: how each is started, where it listens, what it is asked.

Ours are started as a user does it. Each peer is a server of some sixty lines in benchmarks/peers, set up as its own
documentation advises, in an environment of its own (environments.py).
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.checkpoint import CHAINER, IMPORTED
from benchmarks.dialects import INFERENCE_PROTOCOL, ORIGINAL, Dialect
from benchmarks.environments import PEERS, program
from graph.encoder import RuntimeChoice
from serving.settings import PROJECT, Settings

OUR_URL = "http://127.0.0.1:8000/model"
PEER_PORT = 8010
PEER_URL = f"http://127.0.0.1:{PEER_PORT}/model"
CORES = len(os.sched_getaffinity(0))


@dataclass(frozen=True)
class Contestant:
    """A service to be measured.

    Attributes:
        name: what the command line calls it.
        title: what tables call it.
        command: starts it in the foreground; SIGINT ends it.
        url: where it answers.
        environment: folder of benchmarks/peers whose environment it runs in; None for ours.
        dialect: how it is asked.
        variables: of the environment, besides those that are there.
        model: model directory whose pipeline gives the right answers.
        runtime: of that pipeline.
    """

    name: str
    title: str
    command: tuple[str | Path, ...]
    url: str = PEER_URL
    environment: str | None = None
    dialect: Dialect = ORIGINAL
    variables: Mapping[str, str] = field(default_factory=dict)
    model: Path = Settings().model_path
    runtime: RuntimeChoice = Settings().runtime


def _ours(placement: str, config: str) -> Contestant:
    return Contestant(placement, f"ours, {placement}", ("make", "serve", f"CONFIG={config}"), OUR_URL)


def _fastapi(name: str, title: str, runtime: RuntimeChoice, workers: int, environment: str = "fastapi") -> Contestant:
    # The cores are shared out: with more threads than cores each call waits for the other's.
    variables = {"RUNTIME": runtime, "THREADS": str(max(1, CORES // workers))}
    application = "benchmarks.peers.fastapi.server:app"
    command = (program(environment, "uvicorn"), application, "--port", str(PEER_PORT), "--workers", str(workers))
    quiet = ("--no-access-log", "--log-level", "warning")
    return Contestant(name, title, command + quiet, environment=environment, variables=variables, runtime=runtime)


def _litserve() -> Contestant:
    command = (program("litserve", "python"), "-m", "benchmarks.peers.litserve.server", str(PEER_PORT))
    return Contestant("litserve", "LitServe, the same ONNX file", command, environment="litserve")


def _bentoml() -> Contestant:
    service = "benchmarks.peers.bentoml.server:Annotator"
    command = (program("bentoml", "bentoml"), "serve", service, "--host", "127.0.0.1", "--port", str(PEER_PORT))
    variables = {"BENTOML_DO_NOT_TRACK": "True"}
    return Contestant("bentoml", "BentoML, the same ONNX file", command, environment="bentoml", variables=variables)


def _mlserver() -> Contestant:
    command = (program("mlserver", "mlserver"), "start", PEERS / "mlserver")
    url = f"http://127.0.0.1:{PEER_PORT}/v2/models/annotator/infer"
    title = "MLServer, the same ONNX file"
    return Contestant("mlserver", title, command, url, environment="mlserver", dialect=INFERENCE_PROTOCOL)


def _original() -> Contestant:
    bind = ("--workers", "1", "--bind", f"127.0.0.1:{PEER_PORT}", "--timeout", "300")
    command = (program("deeppavlov", "gunicorn"), "benchmarks.peers.deeppavlov.server:app", *bind)
    return Contestant(
        "original",
        "the original: Flask, gunicorn, DeepPavlov",
        command,
        environment="deeppavlov",
        variables={"CHAINER": str(CHAINER), "TASKS": str(Settings().tasks_path), "DP_SKIP_NLTK_DOWNLOAD": "1"},
        model=IMPORTED,
    )


CONTESTANTS: dict[str, Contestant] = {
    contestant.name: contestant
    for contestant in (
        _ours("split", "serve_config.yaml"),
        _ours("packed", "configs/serve/packed.yaml"),
        _ours("fused", "configs/serve/fused.yaml"),
        _original(),
        _fastapi("fastapi-torch", "FastAPI + torch", "torch", workers=1, environment="fastapi_torch"),
        _fastapi("fastapi-onnx", "FastAPI, the same ONNX file", Settings().runtime, workers=1),
        _fastapi("fastapi-onnx-2", "FastAPI, the same ONNX file, 2 workers", Settings().runtime, workers=2),
        _litserve(),
        _bentoml(),
        _mlserver(),
    )
}

OURS = ("split", "packed", "fused")
ORIGINAL_STACK = "original"
# Those that compute with the same file, and so differ from ours in nothing but how they serve.
SAME_FILE = ("fastapi-onnx", "fastapi-onnx-2", "litserve", "bentoml", "mlserver")


def surroundings(contestant: Contestant) -> dict[str, str]:
    """The environment of its process: a peer finds graph/ and benchmarks/ here, and its programs in its own place."""
    if contestant.environment is None:
        return dict(os.environ | contestant.variables)
    programs = program(contestant.environment, "python").parent
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    # Python of a peer must not leave its own byte code in the project's folders.
    return (
        kept | {"PATH": path, "PYTHONPATH": str(PROJECT), "PYTHONDONTWRITEBYTECODE": "1"} | dict(contestant.variables)
    )
