"""What a pod may ask of Kubernetes' API, answered: it takes patches of labels of pods, from who
shows the token. (With --full the real one is asked: test_api_server.py.)"""

from __future__ import annotations

import json
import re
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

from helm.chart import NAMESPACE

HOST = "127.0.0.1"
TOKEN = "a-service-account"


class KubernetesApi:
    """Use as a context. Its certificate is signed by the CA of `certificates`; it is busy at first,
    and refuses the first request of each pod."""

    def __init__(self, certificates: Path, folder: Path) -> None:
        self.labels: dict[str, dict[str, str]] = {}  # pod -> its labels
        self._ca = (certificates / "ca.crt").read_text()
        self._refused: set[str] = set()
        self._server = ThreadingHTTPServer((HOST, 0), self._handler())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*_certificate(certificates, folder))
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def environment(self) -> dict[str, str]:
        port = self._server.server_address[1]
        return {"KUBERNETES_SERVICE_HOST": HOST, "KUBERNETES_SERVICE_PORT": str(port)}

    @property
    def service_account(self) -> dict[str, str]:
        return {"token": TOKEN, "ca.crt": self._ca, "namespace": NAMESPACE}

    def take(self, path: str, headers: dict[str, str], body: bytes) -> int:
        """The status of a PATCH."""
        found = re.fullmatch(rf"/api/v1/namespaces/{NAMESPACE}/pods/([\w.-]+)", path)
        if headers.get("authorization") != f"Bearer {TOKEN}":
            return 401
        if found is None or headers.get("content-type") != "application/merge-patch+json":
            return 404
        if found[1] not in self._refused:
            self._refused.add(found[1])
            return 503
        self.labels.setdefault(found[1], {}).update(json.loads(body)["metadata"]["labels"])
        return 200

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_PATCH(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {key.lower(): value for key, value in self.headers.items()}
                self.send_response(api.take(self.path, headers, body))
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_: object) -> None:
                pass

        return Handler


def _certificate(certificates: Path, folder: Path) -> tuple[Path, Path]:
    """A certificate of its address, and the key."""
    key, request, signed = (folder / f"kubernetes.{end}" for end in ("key", "csr", "crt"))
    names = folder / "kubernetes.names"
    names.write_text(f"subjectAltName=IP:{HOST}\n")
    for command in (
        ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-subj", "/CN=kubernetes", "-keyout", key, "-out", request],
        ["x509", "-req", "-in", request, "-CA", certificates / "ca.crt",
         "-CAkey", certificates / "ca.key", "-CAcreateserial", "-days", "1",
         "-extfile", names, "-out", signed],
    ):  # fmt: skip
        subprocess.run(["openssl", *map(str, command)], check=True, capture_output=True)
    return signed, key
