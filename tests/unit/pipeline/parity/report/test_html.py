"""The report as one page: nothing outside it, nothing injected into it, and everything in it."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest

from pipeline.parity.report.html import render_html
from pipeline.parity.report.report import Report
from pipeline.parity.report.report_json import render_json, report_from_json
from pipeline.parity.report.write import FORMS, write_report
from pipeline.parity.status import Fail

VOID = {"meta", "line", "rect", "br"}


class Outline(HTMLParser):
    """Collects what a page refers to and its ids, and checks that its tags are balanced."""

    def __init__(self) -> None:
        super().__init__()
        self.refers_to: list[str] = []
        self.ids: list[str] = []
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.refers_to += [value for name, value in attrs if name in {"src", "href", "srcset", "action"} and value]
        self.ids += [value for name, value in attrs if name == "id" and value]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag, f"unbalanced </{tag}>"

    def handle_data(self, data: str) -> None:
        self.text += data


def outline(report: Report) -> Outline:
    page = Outline()
    page.feed(render_html(report))
    assert page.open == []
    return page


@pytest.mark.parametrize("which", ["passing", "failing"])
def test_the_page_asks_nothing_of_the_network(which: str, request: pytest.FixtureRequest) -> None:
    """Otherwise the report would be blank on a machine without a network, or tell others who reads it."""
    report: Report = request.getfixturevalue(which)
    page = outline(report)
    assert all(reference.startswith("#row-") for reference in page.refers_to)
    assert {reference.removeprefix("#") for reference in page.refers_to} <= set(page.ids)
    assert set(re.findall(r"url\((.{10})", render_html(report))) <= {"data:image"}
    assert "@import" not in render_html(report)


def test_the_page_says_verdict_findings_and_both_answers(failing: Report) -> None:
    """Otherwise a reader could not find the culprit on it."""
    text = outline(failing).text
    assert "Differs from the trained model" in text
    assert failing.verdict.headline in text
    assert "NaN in 1 of 36 values where the reference has none" in text
    assert "this browser has no WebGL" in text
    assert "weights rounded to 11 significant bits" in text
    page = render_html(failing)
    assert "<title>disc: reference 0.75</title>" in page
    assert "<title>square: target 0.75</title>" in page
    assert page.count("background-image: url(data:image/png") == len(failing.samples.shown)


def test_what_runtimes_say_cannot_become_markup(failing: Report) -> None:
    """Otherwise an error message could run as a script in the reader's browser."""
    page = render_html(failing)
    assert "the converter refused &lt;Erfc&gt;" in page
    assert "<4x4>" not in page


def test_a_report_read_from_json_gives_the_same_page(failing: Report) -> None:
    """Otherwise `tripoint report` would draw another page than the run did."""
    assert render_html(report_from_json(render_json(failing))) == render_html(failing)


def test_a_report_without_rows_still_renders_in_every_form(failing: Report) -> None:
    """Otherwise the one case in which nothing ran would end in a crash."""
    empty = msgspec.structs.replace(failing, rows=(), samples=msgspec.structs.replace(failing.samples, shown=()))
    assert all(render(empty) for render in FORMS.values())


def test_the_files_are_written_whole_and_nothing_else_is_left(passing: Report, failing: Report, tmp_path: Path) -> None:
    """Otherwise a run that is cut off could leave half a report, or litter."""
    folder = tmp_path / "deep" / "report"
    write_report(failing, folder)
    written = write_report(passing, folder)
    assert sorted(path.name for path in folder.iterdir()) == ["junit.xml", "report.html", "report.json", "report.md"]
    assert sorted(written) == sorted(folder.iterdir())
    assert report_from_json((folder / "report.json").read_text()) == passing


def test_what_is_wrong_comes_first_and_each_way_of_being_wrong_once(failing: Report) -> None:
    """On a phone the cause stood six screens below the verdict, and as often as there were targets."""
    row = next(row for row in failing.rows if isinstance(row.status, Fail))
    again = msgspec.structs.replace(row, target="edge/again")
    page = render_html(msgspec.structs.replace(failing, rows=(*failing.rows, again)))
    assert page.index("What is wrong") < page.index("Where, and by how much")
    section = page[page.index("What is wrong") : page.index("Where, and by how much")]
    assert section.count("edge/again") == 1
    assert section.count('<div class="trouble FAIL">') == sum(isinstance(each.status, Fail) for each in failing.rows)
    assert f"tripoint explain {failing.model.name} {row.target} {row.precision}" in section


def test_the_same_finding_of_another_file_stands_by_itself(failing: Report) -> None:
    """Two files would be mended as one."""
    row = next(row for row in failing.rows if isinstance(row.status, Fail))
    other = msgspec.structs.replace(row, target="edge/other", digest="ef" * 32)
    page = render_html(msgspec.structs.replace(failing, rows=(row, other)))
    assert page.count('<div class="trouble FAIL">') == 2


def test_notes_stand_right_below_the_verdict(failing: Report) -> None:
    """That an operation was lowered, or a type assumed, is the first thing to know of a difference."""
    page = render_html(msgspec.structs.replace(failing, notes=("Lowered in tfjs float32: Erfc, to 1 - Erf.",)))
    assert page.index("Lowered in tfjs float32: Erfc, to 1 - Erf.") < page.index("<main>")
