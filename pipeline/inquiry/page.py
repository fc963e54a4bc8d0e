"""An inquiry as one self-contained page, and the files that it leaves."""

from __future__ import annotations

import tempfile
from pathlib import Path

from pipeline.inquiry.inquiry import NOTHING, Inquiry, error_of, mark_of
from pipeline.parity.values import as_json


def render_page(inquiry: Inquiry) -> str:
    """The page as text."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pipeline.inquiry"), autoescape=True, undefined=jinja2.StrictUndefined
    )
    lines = [
        {
            "name": each.name,
            "showed": each.showed,
            "mark": mark_of(each),
            "error": error_of(each),
            "decisive": each.name == inquiry.decisive,
        }
        for each in inquiry.experiments
    ]
    return environment.get_template("inquiry.html.j2").render(
        title=f"{inquiry.model} on {inquiry.target}, by experiment",
        inquiry=inquiry,
        lines=lines,
        off=inquiry.cause != NOTHING,
    )


def write_inquiry(inquiry: Inquiry, into: Path) -> Path:
    """Write the page and the JSON into the folder, made when absent; the page's path. Raises OSError."""
    name = inquiry.target.replace("/", "-")
    into.mkdir(parents=True, exist_ok=True)
    texts = {f"{name}.html": render_page(inquiry), f"{name}.json": as_json(inquiry) + "\n"}
    with tempfile.TemporaryDirectory(prefix="aside-", dir=into) as aside:
        for file, text in texts.items():
            Path(aside, file).write_text(text, encoding="utf-8", newline="\n")
        for file in texts:
            Path(aside, file).replace(into / file)
    return into / f"{name}.html"
