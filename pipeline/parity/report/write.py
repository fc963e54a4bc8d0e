"""The report's files on disk: each one whole, or the one that was there before."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from pipeline.parity.report.html import render_html
from pipeline.parity.report.junit import render_junit
from pipeline.parity.report.markdown import render_markdown
from pipeline.parity.report.report import Report
from pipeline.parity.report.report_json import render_json
from pipeline.parity.report.text import render_text

REPORT_JSON = "report.json"

FORMS: Mapping[str, Callable[[Report], str]] = {
    "text": render_text,
    "json": render_json,
    "markdown": render_markdown,
    "junit": render_junit,
    "html": render_html,
}
"""Every rendering by the name that `tripoint report --format` has for it."""


def write_report(report: Report, folder: Path) -> tuple[Path, ...]:
    """Write report.html, report.json, report.md and junit.xml into `folder`, made when absent; return their paths.

    All are rendered and written aside before the first is moved into place. Raises OSError as the disk does.
    """
    texts = {
        "report.html": render_html(report),
        REPORT_JSON: render_json(report),
        "report.md": render_markdown(report),
        "junit.xml": render_junit(report),
    }
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="aside-", dir=folder) as aside:
        for name, text in texts.items():
            Path(aside, name).write_text(text, encoding="utf-8", newline="\n")
        for name in texts:
            Path(aside, name).replace(folder / name)
    return tuple(folder / name for name in texts)
