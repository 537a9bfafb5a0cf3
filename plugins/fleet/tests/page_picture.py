"""
The picture of the page in the documentation: the page itself, as Chromium has built it.

    python -m plugins.fleet.tests.page_picture

The picture is an SVG with the elements of the page and its style. So it is text, it has both
themes, and it loads nothing.
"""

from __future__ import annotations

import re
import tempfile
import time
from html import escape
from pathlib import Path
from typing import Final

from lifecycle_fleet.serve.page.document import style

from plugins.fleet.tests.api_server import ApiServer
from plugins.fleet.tests.page_scenes import end_badly, mixed
from plugins.fleet.tests.serving import served
from tests.page.browser import Tab, chromium

PICTURE: Final = Path(__file__).parents[3] / "docs" / "img" / "fleet.svg"
WIDTH: Final = 1000
HEIGHT: Final = 916
TITLE: Final = (
    "The page of a fleet: how many pods are ready, which ones have a problem, and each workload "
    "with a square for each pod"
)
KEPT: Final = ("class", "data-kind", "data-new", "open", "placeholder")
"""Attributes that the picture needs."""
SERIALIZE: Final = """
(() => {
  const body = document.body.cloneNode(true);
  for (const each of body.querySelectorAll("script, noscript, form, footer, .unseen, [hidden]")) each.remove();
  for (const each of body.querySelectorAll("*")) {
    for (const name of [...each.attributes].map((known) => known.name)) {
      if (!%s.includes(name)) each.removeAttribute(name);
    }
  }
  return [...body.children].map((each) => new XMLSerializer().serializeToString(each)).join("\\n");
})()
"""


def drawn(tab: Tab) -> str:
    """Return the picture, from a page with ten pods."""
    now = time.time()
    with (
        tempfile.TemporaryDirectory() as folder,
        ApiServer() as api,
    ):
        mixed(api, now)
        with served(api, Path(folder), "-A") as server:
            end_badly(api, server)
            tab.look(width=WIDTH)
            tab.open(server.url)
            tab.until("document.querySelector('#ends:not([hidden])')")
            tab.js(f"seen.now = () => {now}; document.querySelectorAll('details')[2].open = true")
            tab.until("document.querySelector('details[open] tbody tr')")
            tab.js("paint(true); paintAges()")
            inside = tab.js(SERIALIZE % list(KEPT))
            tab.open("about:blank")
    inside = re.sub(r'(class="live">).*?(</p>)', r"\1Live. Last change 2 s ago\2", inside)
    rules = re.sub(r"\s+", " ", re.sub(r"/\*.*?\*/", "", style(), flags=re.DOTALL)).strip()
    rules = escape(re.sub(r":root|\bbody(?= {)", ".page", rules), quote=False)
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img" aria-label="{TITLE}">
<style>{rules}
.page {{ height: {HEIGHT}px; border: 1px solid var(--line); border-radius: 8px; overflow: hidden; }}
.page .top {{ margin: 0 -24px; padding: 8px 24px; }}</style>
<foreignObject width="{WIDTH}" height="{HEIGHT}">
<div xmlns="http://www.w3.org/1999/xhtml" class="page" data-mood="bad">
{inside}
</div>
</foreignObject>
</svg>
"""


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as profile, chromium(Path(profile)) as tab:
        PICTURE.write_text(drawn(tab), encoding="utf-8")
