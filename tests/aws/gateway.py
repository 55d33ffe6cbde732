"""moto, with a door for the protocol that SDKs of today speak to CloudWatch.

moto knows CloudWatch's older protocols only. Requests of Smithy's RPC protocol with CBOR bodies are
translated here to its JSON protocol, member by member, by a CBOR library that has nothing to do with
the SDK; all else passes through untouched.
"""

import datetime
import gzip
import io
import json
import re

import cbor2
from moto.server import DomainDispatcherApplication, create_backend_app

OPERATION = re.compile(r"^/service/(GraniteServiceVersion20100801)/operation/(\w+)$")


def as_json(value):
    """Times as the JSON protocol has them: seconds since 1970."""
    if isinstance(value, datetime.datetime):
        return value.timestamp()
    raise TypeError(f"{value!r} has no place in JSON")


class Gateway:
    """A WSGI application."""

    def __init__(self):
        self.moto = DomainDispatcherApplication(create_backend_app)
        # The CBOR requests as they came: operation, and what it was asked.
        self.requests = []

    def __call__(self, environ, start_response):
        operation = OPERATION.match(environ.get("PATH_INFO", ""))
        if not operation:
            return self.moto(environ, start_response)
        assert environ["HTTP_SMITHY_PROTOCOL"] == "rpc-v2-cbor", environ
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        if environ.pop("HTTP_CONTENT_ENCODING", None) == "gzip":
            body = gzip.decompress(body)
        asked = cbor2.loads(body)
        self.requests.append((operation[2], asked))
        translated = json.dumps(asked, default=as_json).encode()
        environ |= {
            "PATH_INFO": "/",
            "CONTENT_TYPE": "application/x-amz-json-1.0",
            "CONTENT_LENGTH": str(len(translated)),
            "HTTP_X_AMZ_TARGET": f"{operation[1]}.{operation[2]}",
            "wsgi.input": io.BytesIO(translated),
        }
        answer = {}

        def remember(status, headers, exc_info=None):
            answer["status"] = status

        said = b"".join(self.moto(environ, remember))
        body = cbor2.dumps(json.loads(said or b"{}"))
        start_response(
            answer["status"],
            [
                ("Content-Type", "application/cbor"),
                ("Content-Length", str(len(body))),
                ("smithy-protocol", "rpc-v2-cbor"),
            ],
        )
        return [body]
