"""A cache of strings that agents share: set, get and delete by key."""

from __future__ import annotations

from ..errors import InvalidParams, MethodNotFound, RequestError
from .face import Answer, Arguments, Core, Declined, Product, tool
from .planned import LIVES, PLANNED
from .strings import LOCK, claimed, done, find, frees, put, read_entry, read_key, renews, text_of


async def set_storage(core: Core, given: Arguments) -> Answer:
    key, entry = read_entry(given)
    rev = await put(core, {key: entry})
    if not key.startswith(LOCK):
        return done(key)
    has_it = None if frees(entry["value"]) else claimed(entry["value"])[:100]
    return done(key, acquired=has_it is not None, revision=rev, holder=has_it)


async def get_storage(core: Core, given: Arguments) -> Answer:
    key = read_key(given.get("key"))
    item = (await find(core, [key])).get(key)
    return done(key, value=text_of(item["value"]) if item else None, exists=item is not None)


async def delete_storage(core: Core, given: Arguments) -> Answer:
    key = read_key(given.get("key"))
    item = (await find(core, [key])).get(key)
    if item is None or (key.startswith(LOCK) and not renews(core, item, None)):
        return done(key, deleted=False)
    rev = {"if_rev": item["rev"]} if key.startswith(LOCK) else {}
    try:
        await put(core, {key: {"value": None, **rev}})
    except Declined:  # another holds it by now
        return done(key, deleted=False)
    return done(key, deleted=True)


def failed(error: RequestError) -> Answer:
    """In the words that this product's callers know."""
    message = error.sentence
    if isinstance(error, InvalidParams):
        message = "; ".join(error.problems.values())
    if isinstance(error, MethodNotFound):
        message = f"Unknown tool: {message}"
    return {"success": False, "error": message}


FACE = Product(
    tools=(
        tool(
            "setStorage key! value:value! ttl:ttl",
            "Store a string for other agents. Namespace keys: 'task:1', 'status:ada'. A 'lock:' key"
            ' that another holds is refused; the value {"released":true} frees yours.',
            set_storage,
            ttl=LIVES,
            value={"type": "string", "description": "Often JSON."},
        ),
        tool("getStorage key!", "The value of a key.", get_storage, reads=True),
        tool(
            "deleteStorage key!",
            "Delete a key; one that is not there is no error.",
            delete_storage,
        ),
        *PLANNED,
    ),
    instructions="Strings that agents share, by key, until their ttl ends.",
    failed=failed,
    by_session=True,
)
