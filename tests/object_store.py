"""Google's object store on this machine, as far as gcsfs, tensorstore and Orbax ask for it; with faults if wanted.

    python -m tests.object_store --port=0 --fail=0.1 --delay=0.02

A small part of the JSON API (https://cloud.google.com/storage/docs/json_api/v1): objects are inserted whole (`media`,
`multipart` or `resumable`), read with ranges, listed with prefix, delimiter and pages, copied, moved and deleted;
`ifGenerationMatch` and `ifGenerationNotMatch` hold. An object is there once all of it has been received, and there are
no folders and no renaming. Everything is in memory, and every bucket exists.

Of the requests a share `fail` is answered by 503, half of them before and half after they were carried out. With
faults, a client that does not try again, or that takes its own first try for another's, is found out.

`GET /control` answers what was asked so far, `POST /control?fail=..&delay=..` sets the faults and forgets it, and
`POST /control?hold=TEXT` holds uploads of objects whose names contain the text ("held" counts them) until it is "", and
refuses them then: a client that was killed in between never sent them.
"""

import argparse
import base64
import collections
import email
import hashlib
import json
import random
import re
import sys
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PAGE = 1000  # objects and prefixes in one answer to a list

OBJECT = re.compile(r"^/storage/v1/b/([^/]+)/o/([^/]+)(?:/(rewriteTo|copyTo|moveTo)/(?:b/([^/]+)/)?o/([^/]+))?$")
LIST = re.compile(r"^/storage/v1/b/([^/]+)/o$")
BUCKET = re.compile(r"^/storage/v1/b/([^/]+)$")
UPLOAD = re.compile(r"^/upload/storage/v1/b/([^/]+)/o$")


class Answer(Exception):  # noqa: N818  ends a request
    """What a request is answered: a status, headers and a body."""

    def __init__(self, status: int, body: bytes | dict = b"", **headers: str):
        super().__init__(status)
        self.status = status
        self.body = json.dumps(body).encode() if isinstance(body, dict) else body
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class Store:
    """Objects by (bucket, name), and uploads that are not complete."""

    def __init__(self):
        self.lock = threading.RLock()
        self.objects = {}
        self.uploads = {}
        self.generation = 1_000_000

    def put(self, bucket: str, name: str, data: bytes, query: dict) -> dict:
        with self.lock:
            self.check(bucket, name, query)
            self.generation += 1
            self.objects[bucket, name] = (self.generation, data, time.time())
            return self.resource(bucket, name)

    def check(self, bucket: str, name: str, query: dict) -> None:
        """Raises Answer(412), or 304 for a read, if a condition on the generation does not hold."""
        now = str(self.objects.get((bucket, name), (0,))[0])
        if query.get("ifGenerationMatch", now) != now:
            raise Answer(412, {"error": {"code": 412, "message": "conditionNotMet"}})
        if query.get("ifGenerationNotMatch") == now:
            raise Answer(304)

    def get(self, bucket: str, name: str, query: dict) -> tuple[int, bytes]:
        with self.lock:
            if (bucket, name) not in self.objects:
                raise Answer(404, {"error": {"code": 404, "message": f"No such object: {bucket}/{name}"}})
            self.check(bucket, name, query)
            return self.objects[bucket, name][:2]

    def delete(self, bucket: str, name: str, query: dict) -> None:
        with self.lock:
            self.get(bucket, name, query)
            del self.objects[bucket, name]

    def resource(self, bucket: str, name: str) -> dict:
        generation, data, when = self.objects[bucket, name]
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(when))
        digest = base64.b64encode(hashlib.md5(data).digest()).decode()
        return {
            **{"kind": "storage#object", "id": f"{bucket}/{name}/{generation}", "name": name, "bucket": bucket},
            **{"generation": str(generation), "metageneration": "1", "size": str(len(data)), "md5Hash": digest},
            **{"timeCreated": stamp, "updated": stamp, "storageClass": "STANDARD"},
        }

    def list(self, bucket: str, query: dict) -> dict:
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter")
        start, end = query.get("startOffset", ""), query.get("endOffset")
        items, prefixes = [], set()
        with self.lock:
            names = sorted(name for where, name in self.objects if where == bucket and name.startswith(prefix))
            for name in names:
                if name < start or (end and name >= end):
                    continue
                rest = name[len(prefix) :]
                if delimiter and delimiter in rest:
                    prefixes.add(prefix + rest.partition(delimiter)[0] + delimiter)
                else:
                    items.append(self.resource(bucket, name))
        after, page = query.get("pageToken", ""), int(query.get("maxResults", PAGE))
        entries = sorted([(item["name"], item) for item in items] + [(found, None) for found in prefixes])
        entries = [entry for entry in entries if entry[0] > after]
        found, more = entries[: min(page, PAGE)], len(entries) > min(page, PAGE)
        return {
            "kind": "storage#objects",
            "items": [item for _, item in found if item],
            "prefixes": [name for name, item in found if not item],
            **({"nextPageToken": found[-1][0]} if more else {}),
        }


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    store, settings = Store(), {"fail": 0.0, "delay": 0.0, "hold": ""}
    counts, dice = collections.Counter(), random.Random(0)

    def log_message(self, *args) -> None:
        pass

    def _handle(self) -> None:
        self.body = self._read()
        url = urllib.parse.urlsplit(self.path)
        self.query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        try:
            if url.path == "/control":
                self._control()
            self._with_faults(url.path)
        except Answer as answer:
            self._send(answer)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _handle  # noqa: N815  names of http.server

    def _control(self) -> None:
        if self.command == "POST":
            self.settings.update({k: v if k == "hold" else float(v) for k, v in self.query.items()})
            if "hold" not in self.query:
                self.counts.clear()
        raise Answer(200, dict(self.counts))

    def _with_faults(self, path: str) -> None:
        time.sleep(self.settings["delay"])
        with self.store.lock:
            unlucky, before = self.dice.random() < self.settings["fail"], self.dice.random() < 0.5
        self.counts["requests"] += 1
        self.counts[f"{self.command} {_kind(path, self.query)}"] += 1
        self.counts["bytes received"] += len(self.body)
        refused = Answer(503, {"error": {"code": 503, "message": "backendError"}})
        if unlucky and before:
            self.counts["failed before"] += 1
            raise refused
        try:
            self._answer(path)
        except Answer as answer:
            if unlucky:
                self.counts["failed after"] += 1
                raise refused from answer
            self.counts["bytes sent"] += len(answer.body)
            self.counts[f"answered {answer.status}"] += 1
            raise

    def _answer(self, path: str) -> None:
        if match := UPLOAD.match(path):
            self._upload(urllib.parse.unquote(match[1]))
        if match := LIST.match(path):
            raise Answer(200, self.store.list(urllib.parse.unquote(match[1]), self.query))
        if match := OBJECT.match(path.removeprefix("/download")):
            self._object(*(part and urllib.parse.unquote(part) for part in match.groups()))
        if match := BUCKET.match(path):
            raise Answer(200, {"kind": "storage#bucket", "id": match[1], "name": match[1], "location": "HERE"})
        raise Answer(501, {"error": {"code": 501, "message": f"not in this store: {self.command} {self.path}"}})

    def _object(self, bucket: str, name: str, verb: str | None, to_bucket: str | None, to_name: str | None) -> None:
        if verb:
            _, data = self.store.get(bucket, name, {})
            resource = self.store.put(to_bucket or bucket, to_name, data, self.query)
            if verb == "moveTo":
                self.store.delete(bucket, name, {})
            raise Answer(200, {"done": True, "resource": resource} if verb == "rewriteTo" else resource)
        if self.command == "DELETE":
            self.store.delete(bucket, name, self.query)
            raise Answer(204)
        generation, data = self.store.get(bucket, name, self.query)
        if self.query.get("alt") != "media":
            raise Answer(200, self.store.resource(bucket, name))
        self._media(generation, data)

    def _media(self, generation: int, data: bytes) -> None:
        headers = {"x_goog_generation": str(generation), "Content_Type": "application/octet-stream"}
        match = re.match(r"bytes=(\d*)-(\d*)$", self.headers.get("Range", ""))
        if not match:
            raise Answer(200, data, **headers)
        first = int(match[1]) if match[1] else max(0, len(data) - int(match[2]))
        last = min(int(match[2]) if match[1] and match[2] else len(data) - 1, len(data) - 1)
        if first >= len(data):
            error = {"error": {"code": 416, "message": "The requested range cannot be satisfied."}}
            raise Answer(416, error, Content_Range=f"bytes */{len(data)}")
        raise Answer(206, data[first : last + 1], Content_Range=f"bytes {first}-{last}/{len(data)}", **headers)

    def _upload(self, bucket: str) -> None:
        kind = self.query.get("uploadType")
        if "upload_id" in self.query:
            self._resume(self.query["upload_id"])
        if kind == "multipart":
            described, data = _parts(self.headers["Content-Type"], self.body)
            self._hold(described["name"])
            raise Answer(200, self.store.put(bucket, described["name"], data, self.query))
        if kind == "media":
            self._hold(self.query["name"])
            raise Answer(200, self.store.put(bucket, self.query["name"], self.body, self.query))
        name = self.query.get("name") or json.loads(self.body)["name"]
        with self.store.lock:
            number = str(len(self.store.uploads))
            self.store.uploads[number] = (bucket, name, bytearray(), dict(self.query))
        where = f"http://{self.headers['Host']}/upload/storage/v1/b/{bucket}/o?uploadType=resumable&upload_id={number}"
        raise Answer(200, Location=where)

    def _resume(self, number: str) -> None:
        bucket, name, data, query = self.store.uploads[number]
        if self.command == "DELETE":
            raise Answer(499)
        self._hold(name)
        match = re.match(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)$", self.headers["Content-Range"])
        if match[1] and int(match[1]) <= len(data):  # a chunk that came before is not added again
            data[int(match[1]) :] = self.body
        if match[3] != "*" and int(match[3]) == len(data):
            raise Answer(200, self.store.put(bucket, name, bytes(data), query))
        received = {"Range": f"bytes=0-{len(data) - 1}"} if data else {}
        raise Answer(308, **received)

    def _hold(self, name: str) -> None:
        if not self.settings["hold"] or self.settings["hold"] not in name:
            return
        self.counts["held"] += 1
        while self.settings["hold"]:
            time.sleep(0.01)
        raise Answer(503)

    def _read(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            data = b""
            while size := int(self.rfile.readline(), 16):
                data += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return data
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in ({"Content-Type": "application/json"} | answer.headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if answer.status not in (204, 304):
            self.wfile.write(answer.body)


def _kind(path: str, query: dict) -> str:
    if UPLOAD.match(path):
        return "upload"
    if LIST.match(path):
        return "list"
    verb = OBJECT.match(path.removeprefix("/download"))
    return (verb and verb[3]) or ("media" if query.get("alt") == "media" else "metadata" if verb else "bucket")


def _parts(content_type: str, body: bytes) -> tuple[dict, bytes]:
    """The two parts of a multipart upload."""
    boundary = email.message_from_string(f"Content-Type: {content_type}\n\n").get_boundary().encode()
    _, first, rest = body.split(b"--" + boundary, 2)
    data = rest[: rest.rindex(b"--" + boundary + b"--")]
    return json.loads(_without_headers(first)), _without_headers(data).removesuffix(b"\n").removesuffix(b"\r")


def _without_headers(part: bytes) -> bytes:
    return re.split(rb"\r?\n\r?\n", part.lstrip(b"\r\n"), maxsplit=1)[1]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address) -> None:
        """A client that was killed is no news."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--fail", type=float, default=0.0)
    parser.add_argument("--delay", type=float, default=0.0, help="seconds")
    options = parser.parse_args()
    Handler.settings.update(fail=options.fail, delay=options.delay)
    server = _Server(("127.0.0.1", options.port), Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
