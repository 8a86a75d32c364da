"""The page: four Gradio tabs whose contents are plain HTML, drawn by the modules in static/.

No Python function is wired to any component: what moves goes over our own websockets (measured:
Gradio's streaming shows 8 to 10 frames a second, a websocket beside it 30). Gradio gives the frame,
the tabs, the theme.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from importlib import resources
from typing import Any

from fastapi import FastAPI

from microspot.engines.telemetry import GRADIO, switch_off
from microspot.realtime.overlay.consent import NOTICE

from .access.binding import Binding
from .fragments import fragment
from .limits import Limits
from .views.analyse import megabytes
from .views.pipeline_run import PipelineSetup

TITLE = "microspot"
TABS = ("live", "camera", "analyse", "review")


def mount(
    app: FastAPI, sources: Sequence[str], setup: PipelineSetup, binding: Binding, limits: Limits
) -> FastAPI:
    """`app` with the page at /. Its own routes must be there already."""
    switch_off(GRADIO)
    import gradio as gr

    theme = gr.themes.Base(
        font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]
    )
    with gr.Blocks(title=TITLE, analytics_enabled=False) as page:
        gr.HTML(html_template=_about(binding), js_on_load="")
        for tab in TABS:
            with gr.Tab(tab.capitalize(), elem_id=f"tab-{tab}"):
                gr.HTML(
                    html_template=_tab(tab, sources, setup, limits),
                    js_on_load=_loader(tab, binding.root),
                )
    static = resources.files(__package__) / "static"
    options: dict[str, Any] = {"theme": theme, "css_paths": [str(static / "app.css")]}
    mounted: FastAPI = gr.mount_gradio_app(
        app,
        page,
        path="/",
        root_path=binding.public,
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        **options,
    )
    return mounted


def _tab(tab: str, sources: Sequence[str], setup: PipelineSetup, limits: Limits) -> str:
    """The HTML of a tab."""
    values = {
        "view": fragment("view"),
        "sources": _options(sources),
        "threshold": f"{setup.threshold:.2f}",
        "megabytes": megabytes(limits.upload_bytes),
        "minutes": f"{limits.upload_seconds / 60:.0f}",
        "face_px": f"{setup.settings.min_face_px:.0f}",
        "in_flight": str(limits.in_flight),
        "kept": str(limits.page_results),
    }
    text = fragment(tab)
    for name, value in values.items():
        text = text.replace(f"[[{name}]]", value)
    return text


def _options(sources: Sequence[str]) -> str:
    """The choices among `sources`: names from the command line, escaped for HTML and templates."""
    text = "".join(
        f'<option value="{number}">{html.escape(name)}</option>'
        for number, name in enumerate(sources)
    )
    return text.replace("$", "&#36;").replace("{", "&#123;")


def _loader(tab: str, root: str) -> str:
    return f"import('{root}/demo/static/{tab}.js').then((module) => module.mount(element))"


def _about(binding: Binding) -> str:
    """The head of the page with the notice, and a button to log out where there is a password."""
    logout = fragment("logout") if binding.password is not None else ""
    head = fragment("about").replace("[[notice]]", html.escape(" ".join(NOTICE)))
    return head.replace("[[logout]]", logout).replace("[[root]]", binding.root)
