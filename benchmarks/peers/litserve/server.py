"""A worker a core, batches of requests, and the queue for more than 100 requests a second.

python -m benchmarks.peers.litserve.server PORT
"""

import os
import sys

import litserve
import orjson
from fastapi import Response

from benchmarks.peers import model
from graph.merge import Annotation
from graph.pipeline import Pipeline


class Annotator(litserve.LitAPI):
    """Requests of one batch are annotated together."""

    pipeline: Pipeline

    def setup(self, device: str) -> None:  # noqa: ARG002, LitServe passes it
        """Once a worker."""
        self.pipeline = model.load(threads=1)

    def decode_request(self, request: dict[str, list[str]]) -> list[str]:
        """Of one request."""
        return request["sentences"]

    def batch(self, inputs: list[list[str]]) -> list[list[str]]:
        """Requests stay apart: they may have several utterances."""
        return inputs

    def predict(self, requests: list[list[str]]) -> list[list[Annotation]]:
        """All utterances of a batch at once."""
        annotations = iter(self.pipeline([text for texts in requests for text in texts]))
        return [[next(annotations) for _ in texts] for texts in requests]

    def unbatch(self, output: list[list[Annotation]]) -> list[list[Annotation]]:
        """An answer a request."""
        return output

    def encode_response(self, output: list[Annotation]) -> Response:
        """A response that is written already costs no encoding in the server."""
        return Response(orjson.dumps(model.rounded(output)), media_type="application/json")


if __name__ == "__main__":
    api = Annotator(max_batch_size=64, batch_timeout=0.001, api_path="/model")
    server = litserve.LitServer(
        api, accelerator="cpu", workers_per_device=len(os.sched_getaffinity(0)), fast_queue=True
    )
    server.run(host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", generate_client_file=False)
