"""The binary tensor extension of the Open Inference Protocol: JSON first, the bytes of its tensors behind it.

The header `Inference-Header-Content-Length` says where the JSON ends. Numbers are little-endian, row by row; an element
of a BYTES tensor is its length as an unsigned 32-bit number and then its bytes. Tensors stand in the order of the JSON,
each of which says in its parameter `binary_data_size` how many bytes it has.
"""

import struct
from collections.abc import Iterable

from serving.errors import InvalidField

JSON_LENGTH = "Inference-Header-Content-Length"
MEDIA_TYPE = "application/octet-stream"

_LENGTH = struct.Struct("<I")


def split(body: bytes, json_length: str | None) -> tuple[bytes, bytes]:
    """The JSON of a body, and the tensors behind it.

    Args:
        body: of a request.
        json_length: the header's value; None where there is none, and the body is JSON alone.

    Raises:
        InvalidField: the header is no length within the body.
    """
    if json_length is None:
        return body, b""
    # Of a number with more digits than that nothing needs to be known.
    length = int(json_length) if json_length.isascii() and json_length.isdigit() and len(json_length) < 20 else -1
    if not 0 <= length <= len(body):
        raise InvalidField(f"{JSON_LENGTH} must say how many of the body's {len(body)} bytes are JSON")
    return body[:length], body[length:]


def read_strings(name: str, tensor: bytes) -> list[str]:
    """The elements of a BYTES tensor.

    Args:
        name: of the tensor, for errors.
        tensor: its bytes.

    Raises:
        InvalidField: the bytes end within an element, or an element is not UTF-8.
    """
    strings: list[str] = []
    position = 0
    while position < len(tensor):
        start = position + _LENGTH.size
        if start > len(tensor):
            raise InvalidField(f"{name}[{len(strings)}]: its length is cut off")
        position = start + _LENGTH.unpack_from(tensor, position)[0]
        if position > len(tensor):
            raise InvalidField(f"{name}[{len(strings)}]: it is cut off")
        try:
            strings.append(tensor[start:position].decode("utf-8"))
        except UnicodeDecodeError:
            raise InvalidField(f"{name}[{len(strings)}]: it is not UTF-8") from None
    return strings


def write_strings(strings: Iterable[str]) -> bytes:
    """The bytes of a BYTES tensor."""
    encoded = [string.encode() for string in strings]
    return b"".join(part for string in encoded for part in (_LENGTH.pack(len(string)), string))
