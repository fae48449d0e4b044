"""A real service for tests: FastAPI with the document that it writes itself, on a free port of this machine."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, Any

import uvicorn
from fastapi import Body, Cookie, Depends, FastAPI, File, Form, Header, HTTPException, Path, Query, Request, Response
from fastapi.responses import PlainTextResponse
from fastapi.security import (
    APIKeyCookie,
    APIKeyHeader,
    APIKeyQuery,
    HTTPAuthorizationCredentials,
    HTTPBasic,
    HTTPBasicCredentials,
    HTTPBearer,
)
from pydantic import BaseModel
from pydantic import Field as Property

LONG = 10.0


class Color(Enum):
    RED = "red"
    GREEN = "green"


class Size(BaseModel):
    width: float = Property(gt=0)
    height: float | None = None


class Item(BaseModel):
    """Something for sale."""

    name: str = Property(min_length=1, max_length=40, pattern="^[A-Za-z][A-Za-z ]*$")
    color: Color = Color.RED
    size: Size | None = None
    tags: list[str] = []
    parts: list[Item] = Property(default=[], description="What it is made of.")


class Renamed(BaseModel):
    item_id: int = Property(description="The number it has in the old list.")
    name: str


class Price(BaseModel):
    amount: float | None = None
    currency: str = "EUR"


@dataclass
class Service:
    """What it knows, and what it was asked."""

    url: str
    document: dict[str, Any]
    items: dict[int, dict[str, Any]] = field(default_factory=dict)
    seen: list[dict[str, Any]] = field(default_factory=list)


@contextmanager
def service() -> Iterator[Service]:
    """The service while it runs."""
    listening = socket.create_server(("127.0.0.1", 0))
    state = Service(f"http://127.0.0.1:{listening.getsockname()[1]}", {})
    app = _app(state)
    state.document = app.openapi()
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off", ws="none", loop="asyncio"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield state
    finally:
        server.should_exit = True
        thread.join(LONG)
        assert not thread.is_alive()


def _app(state: Service) -> FastAPI:
    app = FastAPI(title="Shop", generate_unique_id_function=lambda route: route.name)

    @app.middleware("http")
    async def _note(request: Request, call_next: Any) -> Any:
        state.seen.append({"method": request.method, "target": request.url.path, "query": request.url.query})
        return await call_next(request)

    _add_items(app, state)
    _add_bodies(app, state)
    _add_private(app)
    return app


def _add_items(app: FastAPI, state: Service) -> None:
    @app.get("/items", tags=["items"], summary="Find items")
    def find_items(
        q: Annotated[str | None, Query(description="A part of the name.")] = None,
        tag: Annotated[list[str] | None, Query()] = None,
        color: Color | None = None,
        limit: Annotated[int, Query(ge=1, le=50)] = 10,
    ) -> dict[str, Any]:
        """Those with all of the tags."""
        return {"q": q, "tag": tag, "color": color, "limit": limit, "count": len(state.items)}

    @app.get("/items/{item_id}", tags=["items"])
    def get_item(
        item_id: Annotated[int, Path(ge=1)],
        x_trace_id: Annotated[str | None, Header()] = None,
        theme: Annotated[str | None, Cookie()] = None,
        detailed: bool = False,
    ) -> dict[str, Any]:
        if item_id not in state.items:
            raise HTTPException(404, f"There is no item {item_id}.")
        return {**state.items[item_id], "trace": x_trace_id, "theme": theme, "detailed": detailed}

    @app.post("/items", tags=["items"], status_code=201)
    def add_item(item: Item) -> dict[str, Any]:
        number = len(state.items) + 1
        state.items[number] = item.model_dump(mode="json")
        return {"id": number}

    @app.put("/items/{item_id}", tags=["items"])
    def rename_item(item_id: int, body: Renamed) -> dict[str, Any]:
        state.items[item_id] = {"name": body.name, "old": body.item_id}
        return {"ok": True}

    @app.patch("/items/{item_id}/price", tags=["items"])
    def set_price(item_id: int, price: Annotated[Price | None, Body()] = None) -> Any:
        state.items[item_id]["price"] = price.model_dump() if price else None
        return state.items[item_id]["price"]

    @app.delete("/items/{item_id}", tags=["items"], status_code=204)
    def delete_item(item_id: int) -> Response:
        del state.items[item_id]
        return Response(status_code=204)

    @app.head("/items/{item_id}", tags=["items"])
    def has_item(item_id: int) -> Response:
        return Response(status_code=200 if item_id in state.items else 404, headers={"X-Name": "a thing"})

    @app.get("/folders/{folder}/files/{name}", tags=["files"])
    def get_file(folder: str, name: str) -> list[str]:
        return [folder, name]


def _add_bodies(app: FastAPI, state: Service) -> None:
    @app.post("/login")
    def login(
        name: Annotated[str, Form()],
        password: Annotated[str, Form()],
        scopes: Annotated[list[str], Form()] = [],  # noqa: B006 - FastAPI copies it
    ) -> dict[str, Any]:
        return {"name": name, "password": password, "scopes": scopes}

    @app.post("/notes")
    def write_note(text: Annotated[str, Body(media_type="text/plain")]) -> str:
        return text

    @app.post("/numbers")
    def add_up(numbers: list[int]) -> int:
        return sum(numbers)

    @app.post("/pictures")
    def upload(file: Annotated[bytes, File()]) -> int:
        return len(file)

    @app.get("/report", response_class=PlainTextResponse)
    def report(request: Request) -> PlainTextResponse:
        return PlainTextResponse(f"a,b\n1,{request.headers['accept']}", media_type="text/csv")

    @app.get("/old", deprecated=True)
    def old_way() -> str:
        """The way it was done."""
        return "old"


def _add_private(app: FastAPI) -> None:
    @app.get("/private/bearer", tags=["private"])
    def with_bearer(given: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]) -> str:
        return given.credentials

    @app.get("/private/basic", tags=["private"])
    def with_basic(given: Annotated[HTTPBasicCredentials, Depends(HTTPBasic())]) -> list[str]:
        return [given.username, given.password]

    @app.get("/private/header", tags=["private"])
    def with_header(
        key: Annotated[str, Depends(APIKeyHeader(name="X-Api-Key"))],
        x_api_key: Annotated[str | None, Header(description="Said once more.")] = None,
    ) -> list[str | None]:
        return [key, x_api_key]

    @app.get("/private/query", tags=["private"])
    def with_query(key: Annotated[str, Depends(APIKeyQuery(name="api_key"))], n: int = 1) -> list[Any]:
        return [key, n]

    @app.get("/private/cookie", tags=["private"])
    def with_cookie(key: Annotated[str, Depends(APIKeyCookie(name="sid"))]) -> str:
        return key
