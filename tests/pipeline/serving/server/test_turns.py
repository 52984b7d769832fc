from __future__ import annotations

from collections import Counter

from lexveil.pipeline.serving.server.turns import Turns


def serve(turns: Turns[str], costs: dict[str, float], seconds: float) -> Counter[str]:
    """Serve one at a time, with every tenant of `costs` always waiting; return the seconds of each."""
    spent: Counter[str] = Counter()
    for tenant in costs:
        turns.add(tenant, tenant)
    while spent.total() < seconds:
        tenant = turns.take()
        assert tenant is not None
        turns.add(tenant, tenant)
        spent[tenant] += costs[tenant]  # type: ignore[assignment]
        turns.finish(tenant, costs[tenant])
    return spent


def test_tenants_share_time_whatever_their_requests_cost() -> None:
    spent = serve(Turns(lambda _: 1.0), {"cheap": 0.03, "dear": 2.0, "usual": 0.1}, 60)
    assert all(abs(seconds - 20) < 4 for seconds in spent.values())


def test_weights() -> None:
    spent = serve(Turns({"a": 3.0, "b": 1.0}.__getitem__), {"a": 0.1, "b": 0.1}, 40)
    assert abs(spent["a"] - 30) < 1


def test_nobody_saves_up_turns() -> None:
    turns: Turns[str] = Turns(lambda _: 1.0)
    serve(turns, {"a": 1.0}, 100)
    spent = serve(turns, {"a": 1.0, "late": 1.0}, 20)
    assert abs(spent["late"] - 10) < 2


def test_turns_of_a_tenant_are_in_order_but_for_those_that_were_begun() -> None:
    turns: Turns[str] = Turns(lambda _: 1.0)
    for name in ("first", "second"):
        turns.add("a", name)
    turns.add("a", "again", first=True)
    turns.remove("a", "second")
    turns.remove("a", "unknown")
    assert (turns.count("a"), len(turns)) == (2, 2)
    assert [turns.take(), turns.take(), turns.take()] == ["again", "first", None]


def test_a_spare_is_for_tenants_that_have_none() -> None:
    turns: Turns[str] = Turns(lambda _: 1.0)
    for name in ("a", "a", "b"):
        turns.add(name, name)
    assert turns.take() == "a"
    assert [turns.take(idle_tenants=True), turns.take(idle_tenants=True)] == ["b", None]
    turns.finish("a", 0.1)
    assert turns.take(idle_tenants=True) == "a"
