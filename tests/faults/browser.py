"""Faults of browsers: half-precision textures, a lost context, weights from a cache."""

from __future__ import annotations

import shutil
from pathlib import Path

from pipeline.core.artifact import Format, Precision
from tests.faults.fault import Group, Workbench
from tests.faults.rig import Run
from web_demo.runtime import DIST

BROWSER = Group("browser")

_HALF_PRECISION = """
const address = new URL(location.href);
address.searchParams.set('tfjsflags', 'WEBGL_FORCE_F16_TEXTURES:true');
history.replaceState(null, '', address);
"""

_LOST_CONTEXT = """
for (const kind of [HTMLCanvasElement, OffscreenCanvas]) {
  const made = kind.prototype.getContext;
  kind.prototype.getContext = function (name, ...rest) {
    const context = made.call(this, name, ...rest);
    if (name === 'webgl2' && context !== null && !context.spoiled) {
      context.spoiled = true;
      let draws = 0;
      const draw = context.drawArrays;
      const drawn = context.drawElements;
      const counted = (own) => function (...given) {
        draws += 1;
        if (draws === 60) context.getExtension('WEBGL_lose_context').loseContext();
        return own.apply(context, given);
      };
      context.drawArrays = counted(draw);
      context.drawElements = counted(drawn);
    }
    return context;
  };
}
"""

_OLD_CACHE = """
const kept = new Map();
const asked = window.fetch.bind(window);
window.fetch = async (resource, options) => {
  const address = typeof resource === 'string' ? resource : (resource.url ?? String(resource));
  if (!address.endsWith('.bin')) return asked(resource, options);
  const name = address.split('/').pop();
  if (!kept.has(name)) kept.set(name, await (await asked(resource, options)).arrayBuffer());
  return new Response(kept.get(name).slice(0), { headers: { 'Content-Type': 'application/octet-stream' } });
};
"""


def page_with(script: str, folder: Path) -> Path:
    """The built web app whose parity page runs a script before its own."""
    dist = folder / "dist"
    shutil.copytree(DIST, dist)
    (dist / "fault.js").write_text(script)
    page = (dist / "parity.html").read_text()
    changed = page.replace("<title>", '<script src="./fault.js"></script>\n    <title>', 1)
    if changed == page:
        raise ValueError("the parity page has no title to put a script before")
    (dist / "parity.html").write_text(changed)
    return dist


@BROWSER.fault("float16 textures", "precision_float16", quick=True)
def _(bench: Workbench) -> Run:
    place = bench.rig.browser("webgl", page_dist=page_with(_HALF_PRECISION, bench.folder))
    return bench.rig.run(bench.digits, bench.digits.artifact(Format.TFJS), place)


@BROWSER.fault("a WebGL context lost on the way", "context_lost")
def _(bench: Workbench) -> Run:
    place = bench.rig.browser("webgl", page_dist=page_with(_LOST_CONTEXT, bench.folder))
    return bench.rig.run(bench.digits, bench.digits.artifact(Format.TFJS), place)


@BROWSER.fault("weights of the last release from a cache", "stale_weights")
def _(bench: Workbench) -> Run:
    place = bench.rig.browser("wasm", page_dist=page_with(_OLD_CACHE, bench.folder))
    older = bench.digits.made_of(bench.digits.older, Format.TFJS, Precision.FLOAT32, bench.folder / "older")
    bench.rig.run(bench.digits, older, place, diagnose=False)
    return bench.rig.run(bench.digits, bench.digits.artifact(Format.TFJS), place)
