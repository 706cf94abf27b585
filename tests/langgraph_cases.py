"""What LangGraph asks of a store, case by case; run with the recipe's code before it, which makes
`store`. It stands alone: the interpreter that has LangGraph may not have the tests' libraries."""

# ruff: noqa: F821
# mypy: ignore-errors

import asyncio
import time

from langgraph.store.base import GetOp, InvalidNamespaceError, ListNamespacesOp, PutOp, SearchOp

CASES = []


def case(function):
    CASES.append(function)
    return function


def keys(found):
    return [item.key for item in found]


def raises(kind, call):
    try:
        call()
    except kind:
        return True
    return False


@case
def an_item_is_got_as_it_was_put(at):
    store.put(at, "k", {"a": [1, None, {"b": "ü"}]})
    item = store.get(at, "k")
    assert (item.value, item.key, item.namespace) == ({"a": [1, None, {"b": "ü"}]}, "k", at)


@case
def what_is_not_there_is_none(at):
    assert store.get(at, "none") is None


@case
def a_put_replaces_all_of_the_value(at):
    store.put(at, "k", {"a": 1})
    store.put(at, "k", {"b": 2})
    assert store.get(at, "k").value == {"b": 2}


@case
def an_update_keeps_when_it_was_created(at):
    store.put(at, "k", {"a": 1})
    first = store.get(at, "k")
    time.sleep(0.01)
    store.put(at, "k", {"a": 2})
    again = store.get(at, "k")
    assert again.created_at == first.created_at and again.updated_at > first.updated_at
    assert first.created_at.tzinfo is not None


@case
def a_deleted_item_is_gone(at):
    store.put(at, "k", {"a": 1})
    store.delete(at, "k")
    store.delete(at, "k")
    assert store.get(at, "k") is None and store.search(at) == []


@case
def namespaces_do_not_mix(at):
    store.put((*at, "a"), "k", {"n": 1})
    store.put((*at, "b"), "k", {"n": 2})
    assert store.get((*at, "a"), "k").value != store.get((*at, "b"), "k").value
    assert store.get(at, "k") is None


@case
def a_namespace_is_no_beginning_of_another(at):
    store.put((*at, "user"), "k", {"n": 1})
    store.put((*at, "users"), "k", {"n": 2})
    assert [item.value for item in store.search((*at, "user"))] == [{"n": 1}]


@case
def labels_and_keys_may_have_any_signs(at):
    strange = ["a/b", "a:b", "a b", "ключ", "_a", "a_2f.b", "%2F", "*", "A"]
    for n, label in enumerate(strange):
        if "." not in label:
            store.put((*at, label), "k", {"n": n})
        store.put(at, label, {"n": n})
    for n, label in enumerate(strange):
        assert store.get(at, label).value == {"n": n}
        assert "." in label or store.get((*at, label), "k").value == {"n": n}


@case
def a_bad_namespace_is_refused(at):
    for bad in ((), ("a.b",), ("",), ("langgraph",), (1,)):
        assert raises(InvalidNamespaceError, lambda: store.put(bad, "k", {}))  # noqa: B023


@case
def a_batch_cannot_pass_a_bad_namespace(at):
    assert raises(InvalidNamespaceError, lambda: store.batch([GetOp(("a.b",), "k")]))


@case
def a_batch_answers_in_its_order(at):
    store.put(at, "one", {"n": 1})
    store.put(at, "two", {"n": 2})
    ops = [GetOp(at, "two"), PutOp(at, "three", {"n": 3}), GetOp(at, "none"), GetOp(at, "one")]
    told = store.batch([*ops, SearchOp(at), ListNamespacesOp()])
    assert [told[0].value["n"], told[1], told[2], told[3].value["n"]] == [2, None, None, 1]
    assert len(told[4]) == 2 and at in told[5]
    assert store.get(at, "three").value == {"n": 3}


@case
def of_two_writes_of_a_batch_the_last_counts(at):
    store.batch([PutOp(at, "k", {"n": 1}), PutOp(at, "k", {"n": 2})])
    assert store.get(at, "k").value == {"n": 2}
    store.batch([PutOp(at, "k", {"n": 3}), PutOp(at, "k", None)])
    assert store.get(at, "k") is None


@case
def a_large_batch_is_written(at):
    store.batch([PutOp(at, f"k{n}", {"n": n}) for n in range(250)])
    assert len(store.search(at, limit=1000)) == 250


@case
def a_search_finds_all_below(at):
    for path in ((), ("a",), ("a", "b")):
        store.put((*at, *path), "k", {"depth": len(path)})
    assert len(store.search(at)) == 3 and len(store.search((*at, "a"))) == 2


@case
def a_search_is_paged(at):
    for n in range(7):
        store.put(at, f"k{n}", {"n": n})
    pages = [keys(store.search(at, limit=3, offset=first)) for first in (0, 3, 6, 9)]
    assert sum(pages, []) == [f"k{n}" for n in range(7)]
    assert len(store.search(at)) == 7


@case
def a_search_filters_by_fields(at):
    for n, kind in enumerate("abca"):
        store.put(at, f"k{n}", {"kind": kind, "n": n, "deep": {"n": n}})
    assert keys(store.search(at, filter={"kind": "a"})) == ["k0", "k3"]
    assert keys(store.search(at, filter={"kind": "a", "n": 3})) == ["k3"]
    assert keys(store.search(at, filter={"deep": {"n": 2}})) == ["k2"]
    assert store.search(at, filter={"none": 1}) == []


@case
def a_filter_compares(at):
    for n in range(4):
        store.put(at, f"k{n}", {"n": n})
    store.put(at, "other", {"m": 1})
    wanted = {"$gt": "k2 k3", "$gte": "k1 k2 k3", "$lt": "k0", "$lte": "k0 k1", "$eq": "k1"}
    for name, found in wanted.items():
        assert keys(store.search(at, filter={"n": {name: 1}})) == found.split() or name == "$gt"
    assert keys(store.search(at, filter={"n": {"$gt": 1}})) == ["k2", "k3"]
    assert keys(store.search(at, filter={"n": {"$ne": 1}})) == ["k0", "k2", "k3", "other"]
    assert keys(store.search(at, filter={"n": {"$gte": 1, "$lt": 3}})) == ["k1", "k2"]


@case
def a_filter_that_is_not_known_is_refused(at):
    store.put(at, "k", {"n": 1})
    assert raises(Exception, lambda: store.search(at, filter={"n": {"$near": 1}}))


@case
def a_query_puts_first_what_has_its_words(at):
    store.put(at, "a", {"text": "a note about pears"})
    store.put(at, "b", {"text": "ada likes plums and pears"})
    found = store.search(at, query="likes plums")
    assert keys(found)[0] == "b" and found[0].score > (found[1].score or 0)
    assert store.search(at)[0].score is None


@case
def namespaces_are_listed(at):
    for path in (("a", "b"), ("a", "c"), ("d",)):
        store.put((*at, *path), "k", {})
    listed = store.list_namespaces(prefix=at)
    assert listed == sorted((*at, *path) for path in (("a", "b"), ("a", "c"), ("d",)))
    store.delete((*at, "d"), "k")
    assert len(store.list_namespaces(prefix=at)) == 2


@case
def namespaces_are_listed_by_their_end_and_by_a_star(at):
    for path in (("a", "v1"), ("b", "v1"), ("a", "v2")):
        store.put((*at, *path), "k", {})
    assert len(store.list_namespaces(prefix=at, suffix=("v1",))) == 2
    assert store.list_namespaces(prefix=(*at, "*", "v2")) == [(*at, "a", "v2")]
    assert store.list_namespaces(prefix=at, suffix=("a", "*")) == [
        (*at, "a", "v1"),
        (*at, "a", "v2"),
    ]


@case
def namespaces_are_cut_and_paged(at):
    for n in range(4):
        store.put((*at, str(n), "x"), "k", {})
        store.put((*at, str(n), "y"), "k", {})
    cut = store.list_namespaces(prefix=at, max_depth=len(at) + 1)
    assert cut == [(*at, str(n)) for n in range(4)]
    page = store.list_namespaces(prefix=at, max_depth=len(at) + 1, limit=2, offset=1)
    assert page == cut[1:3]


@case
def what_lives_for_a_while_ends(at):
    store.put(at, "short", {"n": 1}, ttl=1 / 60)
    store.put(at, "long", {"n": 1}, ttl=60)
    assert store.get(at, "short", refresh_ttl=False).value == {"n": 1}
    end = time.monotonic() + 20
    while store.get(at, "short", refresh_ttl=False) and time.monotonic() < end:
        time.sleep(0.05)
    assert store.get(at, "short") is None and store.get(at, "long") is not None


@case
def reading_lets_it_live_anew(at):
    store.put(at, "k", {"n": 1}, ttl=5 / 60)
    first = store.get(at, "k")
    again = store.get(at, "k")
    assert again.value == {"n": 1} and again.created_at == first.created_at
    assert store.search(at)[0].key == "k"


@case
def it_is_the_same_awaited(at):
    async def run():
        await store.aput(at, "k", {"n": 1})
        await asyncio.gather(*(store.aput(at, f"k{n}", {"n": n}) for n in range(5)))
        assert (await store.aget(at, "k")).value == {"n": 1}
        assert len(await store.asearch(at)) == 6
        assert at in await store.alist_namespaces(prefix=at)
        await store.adelete(at, "k")
        assert await store.aget(at, "k") is None

    asyncio.run(run())


for each in CASES:
    each(("cases", each.__name__))
print(len(CASES), "cases hold")
