import re

import httpx


async def test_the_page_loads_all_from_here(client: httpx.AsyncClient) -> None:
    page = await client.get("/docs")
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(loaded) == 4
    for address in loaded:
        if address != "data:,":
            asset = await client.get(f"/{address}")
            assert asset.status_code == 200
            assert len(asset.content) > 100
            assert asset.headers["x-content-type-options"] == "nosniff"
    assert (await client.get("/docs/start.js")).headers["content-type"] == "text/javascript; charset=utf-8"


async def test_other_files_are_not_there(client: httpx.AsyncClient) -> None:
    for name in ("nothing.js", "index.html", "..%2fdocs.py", "../docs.py"):
        assert (await client.get(f"/docs/{name}")).status_code == 404
