import pytest
from ray import serve
from ray.serve.schema import ApplicationStatus, ApplicationStatusOverview, ServeStatus


@pytest.fixture
def states(monkeypatch: pytest.MonkeyPatch) -> list[ApplicationStatus]:
    """What Serve says of the application, one look after the other; the last one stays."""
    coming: list[ApplicationStatus] = []

    def look() -> ServeStatus:
        state = coming.pop(0) if len(coming) > 1 else coming[0]
        return ServeStatus(applications={"annotator": ApplicationStatusOverview(state, "it\n broke", 0.0, {})})

    monkeypatch.setattr(serve, "status", look)
    return coming
