"""Other products' MCP tools, on top of this server's methods, so that their users can switch.

A face is a table of such tools, served at `/mcp/NAME`. It is one module here, imported at its first
request, and calls nothing but the methods of `methods.py`, through a `Core`.

How to add one:

1. Its name goes into `FACES` of `environment.py`; then `/mcp/NAME`, `connect --face NAME` and
   `mcp --face NAME` are there.
2. `faces/NAME.py` has `FACE = Product(tools=(…), …)` of functions marked with `@tool` (see
   `face.py`). Such a function gets the caller's arguments, unchecked, and returns a dict, which is
   sent as JSON text; `await core.call("writeShared", ops=[…])` calls a method as the caller.
3. To refuse a call, raise `Declined(body)`. `Product.failed` makes a body of the RequestErrors that
   methods raise, and of MethodNotFound for a tool that does not exist.
4. Resources: `templates` lists their URIs, `read(core, uri)` returns one, None for an unknown one.
   A subscribed client is notified when what `read` returns for it has changed.
5. Plain HTTP: `http(core, verb, path, body)` returns (status, body) for `POST /tools/…` and
   `GET /resources/…`; only one face can have it (`HTTP_FACE` of `serve/http.py`).

A tool marked `extra` is listed at `/mcp/NAME?all` only. Schemas cost a model tokens in every turn:
leave out of them what the tool itself checks and explains.
"""
