"""The least that a server on uvicorn costs: a constant reply, bare or through one starlette route.

Run as `floor.py raw|starlette FD` with a listening socket at the descriptor.
"""

import subprocess
import sys
from contextlib import AbstractContextManager
from socket import create_server

REPLY = b'{"jsonrpc":"2.0","id":1,"result":{"agents":[],"reasoning":"","confidence":0.0}}'


async def raw(scope, receive, send) -> None:
    """Reads the body and sends the reply, as ASGI has it and nothing else."""
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    length = (b"content-length", str(len(REPLY)).encode())
    headers = [(b"content-type", b"application/json"), length]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": REPLY})


def with_starlette():
    """The same through one route, as people write it."""
    from starlette.applications import Starlette
    from starlette.responses import Response
    from starlette.routing import Route

    async def reply(request) -> Response:
        await request.body()
        return Response(REPLY, media_type="application/json")

    return Starlette(routes=[Route("/", reply, methods=["POST"])])


class Floor(AbstractContextManager["Floor"]):
    """One of both as a process of its own."""

    def __init__(self, kind: str) -> None:
        with create_server(("127.0.0.1", 0)) as listening:
            self.port = listening.getsockname()[1]
            handed = {"pass_fds": [listening.fileno()], "stderr": subprocess.DEVNULL}
            command = [sys.executable, "-P", __file__, kind, str(listening.fileno())]
            self.process = subprocess.Popen(command, **handed)

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(20)


if __name__ == "__main__":
    import socket

    import uvicorn

    application = raw if sys.argv[1] == "raw" else with_starlette()
    quiet = {"log_config": None, "access_log": False, "lifespan": "off", "ws": "none"}
    config = uvicorn.Config(application, loop="uvloop", http="httptools", **quiet)
    uvicorn.Server(config).run([socket.socket(fileno=int(sys.argv[2]))])
