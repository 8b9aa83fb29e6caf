"""Makes a page of quotes: report.py --title TITLE --version VERSION FOLDER."""

import argparse
import html
import pathlib
from decimal import Decimal


def rows(folder):
    """The quotes of a folder: name and amount."""
    for path in sorted(pathlib.Path(folder).glob("*.txt")):
        amount, _currency = path.read_text().split(": ")[1].split()
        yield path.stem, Decimal(amount)


def page(title, version, quotes):
    """The page; whatever the title is, it is text."""
    lines = [f"<h1>{html.escape(title)}</h1>", "<ul>"]
    lines += [f"<li>{html.escape(name)}: {amount}</li>" for name, amount in quotes]
    lines += ["</ul>", f"<p>total of {len(quotes)} quotes, made by quote {html.escape(version)}</p>"]
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--title", required=True)
    parser.add_argument("--version", required=True)
    parser.add_argument("folder")
    args = parser.parse_args()
    print(page(args.title, args.version, list(rows(args.folder))))
