"""Other products' tools on this server's methods: what their users called goes on working.

A face is a thin table of tools at an address of its own, `/mcp/NAME`. It is one module here, loaded
at the first request for it, and calls nothing but the methods of `methods.py`, through a `Core`.

How to add one:

1. Its name goes into `FACES` of `environment.py`; then `/mcp/NAME`, `connect --face NAME` and
   `mcp --face NAME` are there.
2. `faces/NAME.py` has `FACE = Product(tools=(…), …)` of functions marked with `@tool` (see
   `face.py`). Such a function gets what the caller sent, unchecked, and answers a dict that becomes
   one text of JSON; `await core.call("writeShared", ops=[…])` asks the core, as the one who calls.
3. To refuse, raise `Declined(body)`; what the core refuses (a RequestError), and a tool that does
   not exist (MethodNotFound), are turned into a body by `Product.failed`.
4. Resources: `templates` lists their addresses, `read(core, address)` answers one, None for none.
   A client that subscribes is told whenever what `read` answers for it has changed.
5. Plain HTTP: `http(core, verb, path, body)` answers (status, body) for `POST /tools/…` and
   `GET /resources/…`; one face alone may have it (`HTTP_FACE` of `serve/http.py`).

A tool marked `extra` is seen at `/mcp/NAME?all` alone. Schemas are what a model pays for in every
turn: leave out of them what the tool itself checks and explains.
"""
