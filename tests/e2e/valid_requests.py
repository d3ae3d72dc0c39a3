"""Hooks for schemathesis: requests that the document allows also have parts that agree with one another.

That a shape fits the data, that an output is named once, that a header says where JSON ends, or how many tokens a
string has: no schema can say so. Requests that are meant to be wrong stay as they are.
"""

import copy
import json
from typing import Any

import schemathesis
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode, HookContext

from serving.binary_tensors import JSON_LENGTH, MEDIA_TYPE, write_strings

# The JSON of a binary request is filled up to so many bytes.
JSON_BYTES = 200

# No tokenizer makes more tokens than the limit of so many characters.
SHORT = 5


@st.composite
def binary_requests(draw: st.DrawFn) -> bytes:
    """A tensor behind JSON of `JSON_BYTES`."""
    texts = draw(st.lists(st.text(max_size=20), max_size=3))
    tensor = write_strings(texts)
    described = {"name": "text", "datatype": "BYTES", "shape": [len(texts)]}
    asked = {"inputs": [described | {"parameters": {"binary_data_size": len(tensor)}}]}
    return json.dumps(asked).encode().ljust(JSON_BYTES) + tensor


schemathesis.openapi.media_type(MEDIA_TYPE, binary_requests())


@schemathesis.hook
def before_call(context: HookContext, case: Case[Any], kwargs: dict[str, Any]) -> None:
    if case.meta is None or case.meta.generation.mode != GenerationMode.POSITIVE:
        return
    body: Any = case.body
    if case.path.endswith("/infer"):
        case.headers.pop(JSON_LENGTH, None)
        if case.media_type == MEDIA_TYPE:
            case.headers[JSON_LENGTH] = str(JSON_BYTES)
        else:
            case.body = agreeing(body)
    elif case.path == "/v1/annotate" and body.get("truncate") is False:
        texts = [body["inputs"]] if isinstance(body["inputs"], str) else body["inputs"]
        case.body = body | {"inputs": [text[:SHORT] for text in texts]}


def agreeing(body: dict[str, Any]) -> dict[str, Any]:
    """An inference request of which the shape fits the data and each output is named once."""
    body = copy.deepcopy(body)
    (tensor,) = body["inputs"]
    texts = [element[0] if isinstance(element, list) else element for element in tensor.get("data") or ()]
    if body.get("parameters", {}).get("truncate") is False:
        texts = [text[:SHORT] for text in texts]
    tensor |= {"data": texts, "shape": [len(texts)]}
    tensor.pop("parameters", None)
    if "outputs" in body:
        body["outputs"] = list({output["name"]: output for output in body["outputs"]}.values())
    return body
