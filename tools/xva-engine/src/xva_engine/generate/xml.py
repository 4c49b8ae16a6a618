"""The few builders that every XML document of the package is made with."""

from collections.abc import Iterable

from lxml import etree

Element = etree._Element


def node(tag: str, *children: Element | str | None, **attributes: str) -> Element:
    """An element with children in order; a string is its text and None is left out."""
    element = etree.Element(tag, attributes)
    for child in children:
        if isinstance(child, str):
            element.text = child
        elif child is not None:
            element.append(child)
    return element


def leaves(**values: str) -> list[Element]:
    """One element with text per keyword, in order."""
    return [node(tag, text) for tag, text in values.items()]


def parameters(values: Iterable[tuple[str, str]]) -> list[Element]:
    """`<Parameter name="…">…</Parameter>` for each pair."""
    return [node("Parameter", text, name=name) for name, text in values]


def document(root: Element) -> bytes:
    """The document's bytes: declaration, two blanks of indent, a newline at the end."""
    etree.indent(root, space="  ")
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8") + b"\n"
