"""Events reach those who subscribed, in order, as long as they do."""

from __future__ import annotations

from orchestr8_index.serve.events import Event, Events, GenerationSwapped, Learnt
from orchestr8_index.serve.state import State

from .asking import call


def test_an_event_reaches_the_subscribers_of_its_class_in_order() -> None:
    events, received = Events(), list[object]()
    events.subscribe(GenerationSwapped, lambda event: received.append(("first", event)))
    events.subscribe(GenerationSwapped, lambda event: received.append(("second", event)))
    events.publish(Learnt("cacheDecision"))
    events.publish(GenerationSwapped(2))
    assert received == [("first", GenerationSwapped(2)), ("second", GenerationSwapped(2))]


def test_after_its_unsubscribe_a_subscriber_receives_nothing() -> None:
    events, received = Events(), list[Event]()
    unsubscribe = events.subscribe(Learnt, received.append)
    unsubscribe()
    unsubscribe()
    events.publish(Learnt("cacheDecision"))
    assert received == []


def test_a_subscriber_may_unsubscribe_while_it_receives() -> None:
    events, received = Events(), list[int]()

    def once(event: GenerationSwapped) -> None:
        received.append(event.generation)
        unsubscribe()

    unsubscribe = events.subscribe(GenerationSwapped, once)
    events.subscribe(GenerationSwapped, lambda event: received.append(-event.generation))
    events.publish(GenerationSwapped(1))
    events.publish(GenerationSwapped(2))
    assert received == [1, -1, -2]


def test_an_inbox_tells_of_arrivals_and_ends_with_its_block() -> None:
    events, arrived = Events(), list[None]()
    with events.inbox(GenerationSwapped, Learnt, arrived=lambda: arrived.append(None)) as inbox:
        events.publish(GenerationSwapped(1))
        events.publish(Learnt("storePattern"))
        assert inbox.take() == (0, [GenerationSwapped(1), Learnt("storePattern")])
    events.publish(GenerationSwapped(2))
    assert inbox.take() == (0, []) and len(arrived) == 2


def test_a_slow_reader_loses_the_oldest_and_is_told_how_many() -> None:
    events = Events()
    with events.inbox(GenerationSwapped, arrived=lambda: None, most=2) as inbox:
        for number in range(5):
            events.publish(GenerationSwapped(number))
        assert inbox.take() == (3, [GenerationSwapped(3), GenerationSwapped(4)])
        assert inbox.take() == (0, [])


def test_questions_publish_nothing(state: State) -> None:
    received = list[Event]()
    state.events.subscribe(Learnt, received.append)
    call(state, "querySkills", context="release notes")
    assert received == []
