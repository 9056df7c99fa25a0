"""The glossary: every entry is linked from where its chapter first uses the word."""

import re

import pytest

from lib.book import copies, course

PAGE = (course.CHAPTERS / "GLOSSARY.md").read_text(encoding="utf-8")
ENTRY = re.compile(
    r'^\| <a id="([\w-]+)"></a>(.+?) \| (.+?) \| (.+?) \|'
    r" \[(\d\d)\]\((\w+)\.ipynb\) \|$",
    re.MULTILINE,
)
ENTRIES = [found.groups() for found in ENTRY.finditer(PAGE)]
LINK = re.compile(r"\[([^\[\]]+)\]\(GLOSSARY\.md(?:#([\w-]+))?\)")
NAMES = course.names()


def prose(name: str) -> str:
    """The sentences of a chapter, without header, headings, code and tables."""
    cells = course.read_chapter(name).cells[1:]
    text = "\n".join(c.source for c in cells if c.cell_type == "markdown")
    text = re.sub(r"```.*?```|\$\$.*?\$\$", "", text, flags=re.DOTALL)
    return re.sub(r"^[#|].*$", "", text, flags=re.MULTILINE)


def linked(name: str) -> dict[str, tuple[str, int]]:
    """For each entry that a chapter links to: the linked words, and where."""
    found = {}
    for match in LINK.finditer(prose(name)):
        if match[2]:
            found.setdefault(match[2], (match[1], match.start()))
    return found


def test_each_line_of_the_table_is_an_entry_with_all_that_it_needs():
    lines = [s for s in PAGE.splitlines() if s.startswith("| <a")]
    assert len(lines) == len(ENTRIES) > 80
    words = [word.lower() for _, word, *_ in ENTRIES]
    assert words == sorted(words) and len(set(words)) == len(words)
    assert len({each[0] for each in ENTRIES}) == len(ENTRIES)
    for _, word, literature, what, number, name in ENTRIES:
        assert len(what) < 130, word
        assert literature.strip() and name in NAMES and name[:2] == number


@pytest.mark.parametrize("name", NAMES)
def test_links_of_a_chapter_resolve_and_stand_where_a_word_is_introduced(name):
    here = linked(name)
    known = {each[0] for each in ENTRIES}
    assert set(here) <= known, set(here) - known
    assert {each[0] for each in ENTRIES if each[5] == name} <= set(here)
    text = prose(name)
    for words, where in here.values():
        word = words.strip("*")
        # No earlier cell introduces the word in italics or in bold.
        earlier = LINK.sub("", text[:where])
        assert not re.search(rf"(\*{{1,2}}){re.escape(word)}\1", earlier), word


def test_each_entry_is_linked_from_a_chapter():
    every = {key for name in NAMES for key in linked(name)}
    assert every == {each[0] for each in ENTRIES}


def test_pages_link_to_files_that_lie_beside_them():
    for page in copies.PAGES:
        text = (course.CHAPTERS / page).read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([\w.]+?)(?:#[\w-]+)?\)", text):
            assert (course.CHAPTERS / target).exists(), target


def test_chapter_00_says_what_the_links_are():
    text = prose("00_start_here")
    assert "[glossary](GLOSSARY.md)" in text and "(SYMBOLS.md)" in text
