"""Bodies are held within limits for as long as they are in memory."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest
from starlette.datastructures import Headers

from lexveil.pipeline.serving import wire
from lexveil.pipeline.serving.server.errors import RefusalError
from lexveil.pipeline.serving.server.guard import BodyLimits, BodyReader

CONTENT = bytes(100)
HEADERS = Headers({"content-length": "100", wire.REQUEST_DIGEST: wire.compute_digest(CONTENT)})


async def receive() -> Any:
    return {"type": "http.request", "body": CONTENT, "more_body": False}


def test_bodies_that_wait_for_an_answer_count_and_leave_space_for_others() -> None:
    charged: list[tuple[str, int]] = []

    async def run() -> None:
        async def charge(*cost: Any) -> None:
            charged.append(cost)

        bodies = BodyReader(BodyLimits(buffered_bytes=600), charge)

        async def hold(held: AsyncExitStack, tenant: str) -> None:
            await held.enter_async_context(bodies.read(HEADERS, receive, 100, tenant))

        async with AsyncExitStack() as held:
            for _ in range(3):
                await hold(held, "a")
            with pytest.raises(RefusalError) as caught:
                await hold(held, "a")
            assert (caught.value.status, caught.value.code) == (503, "busy")
            await hold(held, "b")  # half of what the first left
            with pytest.raises(RefusalError):
                await hold(held, "b")
            await hold(held, "c")
        async with AsyncExitStack() as held:  # all were given back
            for _ in range(3):
                await hold(held, "a")

    asyncio.run(run())
    assert charged == [(tenant, 100) for tenant in "aaabcaaa"]


def test_a_refused_body_is_not_held() -> None:
    async def run() -> None:
        async def charge(*_cost: Any) -> None:
            pass

        bodies = BodyReader(BodyLimits(buffered_bytes=200), charge)
        wrong = Headers({"content-length": "100", wire.REQUEST_DIGEST: "sha256=0"})
        for _ in range(3):
            with pytest.raises(RefusalError) as caught:
                async with bodies.read(wrong, receive, 100, "a"):
                    pass
            assert caught.value.code == "digest"

    asyncio.run(run())
