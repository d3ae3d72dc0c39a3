"""One endpoint. RUNTIME is auto or torch, THREADS those of the encoder, both of the environment."""

import os
from typing import cast

import orjson
from fastapi import FastAPI, Response
from pydantic import BaseModel

from benchmarks.peers import model
from graph.encoder import RuntimeChoice

pipeline = model.load(int(os.environ["THREADS"]), cast(RuntimeChoice, os.environ["RUNTIME"]))
app = FastAPI()


class Request(BaseModel):
    """What the original's /model takes."""

    sentences: list[str]


# No `async`: FastAPI runs it in its thread pool, so that the event loop goes on while it computes.
@app.post("/model")
def annotate(request: Request) -> Response:
    """A response that is written already is passed on as it is, which FastAPI advises for large ones."""
    return Response(orjson.dumps(model.rounded(pipeline(request.sentences))), media_type="application/json")
