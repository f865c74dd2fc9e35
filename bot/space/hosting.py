"""Supervisor a Gradio app on a socket of our own, with nothing loaded from anywhere else.

Gradio's own `launch` looks for a free port by itself and cannot be given port 0, so the app is
mounted on FastAPI and served by uvicorn, both of which Gradio brings along.
"""

from __future__ import annotations

import socket
from collections.abc import Callable

import gradio as gr
import uvicorn
from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bot.space.app import MAX_UPLOAD

GRACE = 1
"""Seconds that open event streams get at the end; most of them would go on for ever."""

CONTENT_SECURITY_POLICY = (
    # Gradio's page compiles its translations and styles itself while it loads.
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; frame-ancestors 'self'"
)


class Server(uvicorn.Server):
    """Tells when it is ready. SIGINT and SIGTERM end it, and are raised again afterwards."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Run the app's startup, begin to listen, and tell."""
        await super().startup(sockets)
        if self.started:
            self._ready()


def server(build: Callable[[Callable[[], bool]], gr.Blocks], ready: Callable[[], None]) -> Server:
    """A server for the app that `build` makes.

    Args:
        build: gets a function that is true as soon as the server is asked to stop.
        ready: called once requests are answered.
    """
    outer = FastAPI(openapi_url=None)
    config = uvicorn.Config(
        _OwnSourcesOnly(outer),
        log_level="warning",
        timeout_graceful_shutdown=GRACE,
        server_header=False,
    )
    made = Server(config, ready)
    gr.mount_gradio_app(
        outer,
        build(lambda: made.should_exit),
        path="/",
        show_error=False,  # as on the Space: only texts that are meant for people leave
        max_file_size=MAX_UPLOAD,
        run_history=False,
        footer_links=["api"],
        theme=gr.themes.Default(
            # Plain names: the default ones would be fetched from a font service.
            font=["system-ui", "sans-serif"],
            font_mono=["ui-monospace", "monospace"],
        ),
    )
    return made


class _OwnSourcesOnly:
    """Forbids the page to load anything from another host."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["content-security-policy"] = CONTENT_SECURITY_POLICY
            await send(message)

        await self._app(scope, receive, guarded)
