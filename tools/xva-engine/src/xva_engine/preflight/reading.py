"""The package's files as they are read by the checks, and what the checks find."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from lxml import etree

from xva_engine.generate.defects import Defect
from xva_engine.generate.xml import Element


@dataclass
class Found:
    """Everything that was found; a warning is no reason to stop."""

    errors: set[Defect] = field(default_factory=set)
    warnings: set[Defect] = field(default_factory=set)

    def refuse(self, code: str, subject: str, message: str) -> None:
        """Notes a reason not to run the package."""
        self.errors.add(Defect(subject, code, message))

    def warn(self, code: str, subject: str, message: str) -> None:
        """Notes something that a reader of the numbers should know."""
        self.warnings.add(Defect(subject, code, message))


class Folder:
    """Files by path; each is read once, and one that cannot be read is noted once."""

    def __init__(self, files: Mapping[str, bytes], found: Found) -> None:
        self._files = files
        self._found = found
        self._roots: dict[str, Element | None] = {}

    def text(self, path: str) -> str | None:
        """The file as text; None if it is not there."""
        content = self._files.get(path)
        if content is None:
            self._found.refuse("missing-file", path, f"{path} is not in the package")
            return None
        return content.decode("utf-8", errors="replace")

    def root(self, path: str) -> Element | None:
        """The root of an XML file; None if it is not there, not well-formed or declares a document type."""
        if path not in self._roots:
            self._roots[path] = self._parse(path)
        return self._roots[path]

    def _parse(self, path: str) -> Element | None:
        content = self._files.get(path)
        if content is None:
            self._found.refuse("missing-file", path, f"{path} is not in the package")
            return None
        if b"<!DOCTYPE" in content:
            self._found.refuse("xml-doctype", path, f"{path} declares a document type")
            return None
        try:
            return etree.fromstring(content, etree.XMLParser(resolve_entities=False, no_network=True))
        except etree.XMLSyntaxError as error:
            self._found.refuse("malformed-xml", path, f"{path} is not well-formed XML: {error.msg}")
            return None


def parameters_of(element: Element | None) -> dict[str, str]:
    """`<Parameter name="…">…</Parameter>` children by name."""
    if element is None:
        return {}
    return {item.get("name", ""): (item.text or "").strip() for item in element.findall("Parameter")}


def texts(root: Element | None, path: str) -> list[str]:
    """The texts of all elements at a path, stripped; none without a root."""
    return [(item.text or "").strip() for item in root.iterfind(path)] if root is not None else []


def words(text: str | None) -> list[str]:
    """The entries of a list that is written with commas."""
    return [word.strip() for word in (text or "").split(",") if word.strip()]


def lines(text: str) -> Iterator[tuple[int, list[str]]]:
    """Numbered lines split into words, without blank ones and comments."""
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip() and not line.startswith("#"):
            yield number, line.split()
