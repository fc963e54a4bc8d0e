"""The image's health check: a version of the model is AVAILABLE. Exit status 0 or 1, and the reason in words."""

import http.client
import json
import os
import sys


def main() -> int:
    connection = http.client.HTTPConnection("127.0.0.1", 8501, timeout=2)
    try:
        connection.request("GET", f"/v1/models/{os.environ['MODEL_NAME']}")
        status = json.loads(connection.getresponse().read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        sys.stdout.write(f"no answer: {error}\n")
        return 1
    states = [version["state"] for version in status.get("model_version_status", ())]
    sys.stdout.write(f"versions: {states}\n")
    return 0 if "AVAILABLE" in states else 1


if __name__ == "__main__":
    sys.exit(main())
