"""Whether the service of this machine is ready, as an exit status: for the health check of a container.

python -m serving.lifecycle.health

Keys that the service wants are found where the service finds them: in the environment.
"""

import sys
import urllib.request

from serving.middleware.keys import key_header
from serving.settings import Settings

PORT = 8000
SECONDS = 5


def main(port: int = PORT) -> int:
    """Ask once; 0 when an utterance has just gone through the whole graph, else 1 and the reason."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/ready", headers=key_header(Settings()))
    try:
        with urllib.request.urlopen(request, timeout=SECONDS):
            return 0
    except OSError as error:  # no connection, no answer in time, or another status than 200
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
