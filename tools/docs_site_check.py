#!/usr/bin/env python3
"""Checks a built site: every link within it leads somewhere, and nothing is fetched from elsewhere.

    tools/docs_site_check.py build/site
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """The links, the anchors and what is loaded of a page."""

    def __init__(self, path):
        super().__init__()
        self.links, self.anchors, self.loaded = [], set(), []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.anchors |= {found[name] for name in ("id", "name") if found.get(name)}
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        if found.get("src"):
            self.loaded.append(found["src"])
        if tag == "link" and found.get("href") and found.get("rel") not in ("canonical", "prev", "next"):
            self.loaded.append(found["href"])


def main(site):
    pages = {path: Page(path) for path in site.rglob("*.html")}
    wrong, links = [], 0
    for path, page in pages.items():
        name = path.relative_to(site)
        whole = name.name != "404.html"  # whose addresses are made for the root of a server
        for address in page.loaded:
            parts = urlsplit(address)
            if parts.scheme not in ("", "data") or parts.netloc:
                wrong.append(f"{name} loads {address}")
            elif whole and not parts.scheme and not (path.parent / unquote(parts.path)).exists():
                wrong.append(f"{name} loads {address}, which is not there")
        for address in page.links if whole else []:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue
            links += 1
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if target.is_dir():
                target /= "index.html"
            if not target.exists():
                wrong.append(f"{name} links to {address}")
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
                wrong.append(f"{name} links to {address}, which has no such heading")
    for line in wrong:
        print(f"docs_site: {line}", file=sys.stderr)
    print(f"docs_site: {len(pages)} pages, {links} links, {len(wrong)} of them wrong")
    return 1 if wrong or not pages else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
