from pathlib import Path

from benchmarks.flames import draw, read_samples

RAW = """serve (uvicorn/server.py:12);model (serving/original.py:30);<listcomp> (serving/rounded.py:32) 3
serve (uvicorn/server.py:14);model (serving/original.py:31) 5
run (threading.py:7) 2
"""


def test_samples_of_a_function_are_joined_whatever_the_line() -> None:
    samples = read_samples(RAW)
    assert samples.total == 10
    assert {name: called.total for name, called in samples.called.items()} == {
        "serve (uvicorn/server.py)": 8,
        "run (threading.py)": 2,
    }
    inner = samples.called["serve (uvicorn/server.py)"].called["model (serving/original.py)"]
    assert (inner.total, inner.called["<listcomp> (serving/rounded.py)"].total) == (8, 3)


def test_a_picture_is_drawn(tmp_path: Path) -> None:
    draw({"Ingress": read_samples(RAW), "Encoder": read_samples("")}, "a load", tmp_path / "new" / "profile.png")
    assert (tmp_path / "new" / "profile.png").read_bytes().startswith(b"\x89PNG")
