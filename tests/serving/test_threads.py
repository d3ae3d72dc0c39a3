import asyncio
import threading

import pytest

from serving.threads import in_thread


async def test_it_computes_in_another_thread() -> None:
    assert await in_thread(threading.get_ident) != threading.get_ident()


async def test_cancelled_it_waits_for_the_thread() -> None:
    release = threading.Event()
    task = asyncio.create_task(in_thread(release.wait))
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.sleep(0.01)
    assert not task.done()
    release.set()
    with pytest.raises(asyncio.CancelledError):
        await task
