"""Hooks of mkdocs: the pages beside docs/ belong to the site; files that are no pages are named."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "CONTRIBUTING.md",
    "CHANGELOG.md": "CHANGELOG.md",
}
LINK = re.compile(r"\[([^\]]+)\]\((?!https?:)([^)#\s]+)((?:#[^)\s]*)?)\)")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that lie beside the documentation."""
    for name, page in PAGES.items():
        text = (ROOT / name).read_text().replace("](docs/", "](")
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Turn links to files of the repository, which the site does not hold, into their names."""

    def named(link: re.Match[str]) -> str:
        text, target, _ = link.groups()
        path = target.removeprefix("../")
        known = files.get_file_from_path(PAGES.get(path, path)) is not None
        if known:
            return link[0].replace(f"({target}", f"({PAGES.get(path, path)}")
        is_file = (ROOT / path).exists() or (ROOT / "docs" / path).exists()
        return f"{text} (`{path}`)" if is_file else link[0]

    return LINK.sub(named, markdown)
