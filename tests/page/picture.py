"""
The picture of the page in the README: the page itself, as Chromium has built it.

The picture is an SVG with the elements of the page and its style. So it is text, it has both
themes, and it loads nothing. `make picture` draws it anew.
"""

from __future__ import annotations

import re
from html import escape
from pathlib import Path
from typing import Final

from lifecycle.page.document import style
from tests.page.browser import Tab
from tests.page.scenes import SCENES
from tests.page.serving import staged

PICTURE: Final = Path(__file__).parents[2] / "docs" / "img" / "page.svg"
WIDTH: Final = 1000
HEIGHT: Final = 924
TITLE: Final = "The page of an app that drains: its state, the drain, and the work in flight"
GONE: Final = ("#workers", "#start", "#services", "#plugins", "#commands", "footer", ".unseen")
"""What has no place in a picture that is read in a second."""
SERIALIZE: Final = """
(() => {
  const body = document.body.cloneNode(true);
  for (const each of body.querySelectorAll("script, noscript, [hidden], %s")) each.remove();
  for (const each of body.querySelectorAll("*")) {
    const placed = [...(each.style ?? [])].map((name) => `${name}: ${each.style.getPropertyValue(name)}`);
    for (const name of [...each.attributes].map((known) => known.name)) {
      if (!["class", "id", "data-kind", "data-result", "data-label"].includes(name)) each.removeAttribute(name);
    }
    if (placed.length) each.setAttribute("data-style", placed.join("; "));
  }
  return [...body.children].map((each) => new XMLSerializer().serializeToString(each)).join("\\n");
})()
"""


def drawn(tab: Tab) -> str:
    """Return the picture, from a page with an app that drains."""
    with staged(SCENES["draining"]) as stage:
        tab.look(width=WIDTH)
        tab.open(stage.url)
        tab.until("document.querySelector('#main:not([hidden])')")
        found = tab.js(SERIALIZE % ", ".join(GONE))
        inside = found.replace(" data-style=", " style=")  # which the policy of the page forbids
        mood = tab.js("document.documentElement.dataset.mood")
    rules = re.sub(r"\s+", " ", re.sub(r"/\*.*?\*/", "", style(), flags=re.DOTALL)).strip()
    rules = escape(re.sub(r":root|\bbody(?= {)", ".page", rules), quote=False)
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img" aria-label="{TITLE}">
<style>{rules}
.page {{ height: {HEIGHT}px; border: 1px solid var(--line); border-radius: 8px; overflow: hidden; }}
.page .top {{ margin: 0 -24px; padding: 8px 24px; }}</style>
<foreignObject width="{WIDTH}" height="{HEIGHT}">
<div xmlns="http://www.w3.org/1999/xhtml" class="page" data-mood="{mood}">
{inside}
</div>
</foreignObject>
</svg>
"""
