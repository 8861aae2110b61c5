"""A client of GeoSURGE's GraphQL service with Python's standard library alone.

    python3 geosurge.py photo.jpg …           # where were they taken?
    python3 geosurge.py --within FR photo.jpg # it is known to be France

The service's address is in GEOSURGE_URL (default http://127.0.0.1:8080), the API key, if it asks for one, in GEOSURGE_API_KEY.
"""

import argparse
import json
import os
import sys
import time
import urllib.error
import urllib.request
import uuid

LOCALIZE = """
mutation Localize($photo: Upload!, $options: LocalizeOptions) {
  localize(photo: $photo, options: $options) {
    id releaseId cannotTell confidence
    place { name }
    location { latitude longitude }
    within { name kilometres probability }
    credibleRegion { mass areaKm2 }
    references { likeness distanceKilometres image { thumbnailUrl } }
  }
}
"""

PREDICTIONS = """
query Predictions($after: String) {
  predictions(first: 100, after: $after) {
    nodes { id createdAt fileName confidence location { latitude longitude } }
    pageInfo { hasNextPage endCursor }
  }
}
"""


class ServiceError(Exception):
    """An error of the service: `code` is stable, the message is for people."""

    def __init__(self, error):
        extensions = error.get("extensions", {})
        self.code = extensions.get("code", "INTERNAL")
        self.retry_after = extensions.get("retryAfterSeconds")
        super().__init__(f"{self.code}: {error['message']}")


class Client:
    """Speaks to one service."""

    def __init__(self, url=None, key=None, attempts=5):
        self.url = (url or os.environ.get("GEOSURGE_URL", "http://127.0.0.1:8080")).rstrip("/")
        self.key = key or os.environ.get("GEOSURGE_API_KEY")
        self.attempts = attempts

    def query(self, query, variables=None):
        """Sends a query or mutation without photos, and returns its data."""
        body = json.dumps({"query": query, "variables": variables or {}}).encode()
        return self._send(body, "application/json")

    def localize(self, path, **options):
        """Where was the photo at `path` taken?"""
        with open(path, "rb") as file:
            content = file.read()
        operations = {"query": LOCALIZE, "variables": {"photo": None, "options": options}}
        body, kind = multipart(operations, {"0": ["variables.photo"]}, {"0": (os.path.basename(path), content)})
        return self._send(body, kind)["localize"]

    def predictions(self):
        """All recorded predictions, newest first, page by page."""
        after = None
        while True:
            page = self.query(PREDICTIONS, {"after": after})["predictions"]
            yield from page["nodes"]
            if not page["pageInfo"]["hasNextPage"]:
                return
            after = page["pageInfo"]["endCursor"]

    def _send(self, body, kind):
        for attempt in range(self.attempts):
            try:
                return self._send_once(body, kind)
            except ServiceError as error:
                # A full queue and a rate pass: the service says after how many seconds.
                if error.retry_after is None or attempt + 1 == self.attempts:
                    raise
                time.sleep(error.retry_after)

    def _send_once(self, body, kind):
        headers = {"Content-Type": kind}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        request = urllib.request.Request(f"{self.url}/graphql", data=body, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=120) as response:
                answer = json.load(response)
        except urllib.error.HTTPError as refusal:
            # Refusals of whole requests have the same form.
            answer = json.load(refusal)
        if answer.get("errors"):
            raise ServiceError(answer["errors"][0])
        return answer["data"]


def multipart(operations, files_map, files):
    """A body by the GraphQL multipart request specification, and its content type."""
    boundary = uuid.uuid4().hex
    parts = [("operations", None, json.dumps(operations).encode()), ("map", None, json.dumps(files_map).encode())]
    parts += [(field, name, content) for field, (name, content) in files.items()]
    body = bytearray()
    for field, name, content in parts:
        body += f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"'.encode()
        if name is not None:
            body += f'; filename="{name}"\r\nContent-Type: application/octet-stream'.encode()
        body += b"\r\n\r\n" + content + b"\r\n"
    body += f"--{boundary}--\r\n".encode()
    return bytes(body), f"multipart/form-data; boundary={boundary}"


def main():
    parser = argparse.ArgumentParser(description="Tells where photographs were taken.")
    parser.add_argument("photos", nargs="+")
    parser.add_argument("--within", metavar="COUNTRY", action="append", help="a country that they are known to be of")
    arguments = parser.parse_args()
    options = {"client": "python-example"}
    if arguments.within:
        options["within"] = {"countries": arguments.within}
    client = Client()
    failed = False
    for photo in arguments.photos:
        try:
            answer = client.localize(photo, **options)
        except (ServiceError, OSError) as error:
            print(f"{photo}: {error}", file=sys.stderr)
            failed = True
            continue
        place = answer["place"]["name"] if answer["place"] else "at sea"
        location = answer["location"]
        print(f"{photo}: {place} ({location['latitude']:.4f}, {location['longitude']:.4f})")
        for within in answer["within"]:
            print(f"  within {within['kilometres']:6.0f} km: {within['probability']:6.1%}")
        if answer["cannotTell"]:
            print(f"  not to be believed: {answer['cannotTell']}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
