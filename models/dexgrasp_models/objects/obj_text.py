"""Wavefront OBJ as people write it, put into the plain form that trimesh reads rightly.

Trimesh counts relative indices from the end of the file, makes fans of concave faces, takes columns
of faces by the first one, and passes over lines that it doesn't know by their first two letters.
"""

from __future__ import annotations

import codecs
import math
import re
from collections.abc import Iterator

import numpy as np

from dexgrasp_models.objects.polygons import all_fans_are_right, all_triangulated

_BREAK = re.compile(r"\r\n|\r|\n")
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_ODD = re.compile(r"^(?:[ \t]+\S|[vfog]\t|f[^ ]|[vf] .*[#\\]|.*\\$)", re.MULTILINE)
_FIRST_FACE = re.compile(r"^f +\d+(\S*)", re.MULTILINE)
_VERTEX = re.compile(r"^v +([-+.\deE]+ +[-+.\deE]+ +[-+.\deE]+) *$", re.MULTILINE)
_CONTINUED = ("v", "vn", "vt", "f")
_USED = 0.95  # share of its vertices that the faces of a whole file have


class ObjError(ValueError):
    """A text that is no sound OBJ; the message tells the line."""


def plain_obj(content: bytes, split_groups: bool = False) -> bytes:
    """The same surface in plain OBJ: the content itself where it is plain already.

    Args:
        content: of the file.
        split_groups: whether `g` tells groups where no `o` does, and all of a group's vertices
            have to be used: groups are pieces.

    Raises:
        ObjError: a vertex or a face is none, as in a file that is cut short.
    """
    marked = content.startswith((codecs.BOM_UTF8, *_UTF16))
    encoding = "utf-16" if content.startswith(_UTF16) else "utf-8-sig"
    text = content.decode(encoding, errors="replace")
    if not marked and not split_groups and _is_surely_plain(text.replace("\r\n", "\n")):
        return content
    reader = _Reader(split_groups)
    reader.read(text)
    return content if reader.plain and not marked else reader.text().encode()


def _is_surely_plain(text: str) -> bool:
    """Whether it is whole and plain, of triangles alike: most large files are, and it is quick."""
    first = _FIRST_FACE.search(text)
    if first is None or "\r" in text or not text.endswith("\n") or _ODD.search(text):
        return False
    rest = re.sub(r"\d+", r"\\d+", first[1])  # of a corner, after its vertex
    if not re.fullmatch(r"(/{0,2}\\d\+){0,2}", rest):
        return False
    corner = rf" +(\d+){rest}"
    faces = re.findall(rf"^f{corner}{corner}{corner} *$", text, re.MULTILINE)
    vertices = _VERTEX.findall(text)
    starts = "\n" + text
    if len(faces) != starts.count("\nf ") or len(vertices) != starts.count("\nv "):
        return False
    try:
        numbers = np.array(" ".join(vertices).split(), dtype=np.float64)
        corners = np.array(faces, dtype=np.int64)
    except (ValueError, OverflowError):
        return False
    in_range = corners.min() >= 1 and corners.max() <= len(vertices)
    ends_in_faces = text.rfind("\nf ") > text.rfind("\nv ")
    return bool(ends_in_faces and in_range and np.isfinite(numbers).all())


class _Reader:
    """What a text holds, and whether trimesh would see the same in it."""

    def __init__(self, split_groups: bool) -> None:
        self.plain = True
        self._split_groups = split_groups
        self._unended = False
        self._vertices: list[tuple[float, float, float]] = []
        self._faces: list[tuple[str | None, str | None, list[int]]] = []
        self._name: str | None = None
        self._group: str | None = None
        self._named = False  # by any `o`
        self._first = 0  # vertex of the last group
        self._loose = 0  # vertices since the last face
        self._widths: set[int] = set()
        self._styles: set[tuple[int, ...]] = set()

    def read(self, text: str) -> None:
        for number, line in self._lines(text):
            try:
                self._add(line)
            except ObjError as error:
                raise ObjError(f"line {number}: {error}") from None
        self._finish()

    def _add(self, line: str) -> None:
        word, *more = line.split(None, 1)
        rest = "".join(more).strip()
        if word in ("v", "f", "o", "g") and not line.startswith(f"{word} "):
            self.plain = False  # indented, or with a tab
        match word:
            case "v":
                self._add_vertex(rest.split())
            case "f":
                self._add_face(rest.split())
            case "o":
                self._name, self._named = rest, True
                self._first = len(self._vertices)
            case "g":
                self._group = rest
                self._first = len(self._vertices)
            case _ if word.startswith("f"):
                self.plain = False  # trimesh takes all of these as faces

    def _lines(self, text: str) -> Iterator[tuple[int, str]]:
        """Lines that say something, with their numbers; without comments, continued ones as one."""
        lines = _BREAK.split(text)
        self._unended = bool(lines[-1].strip())
        if "\r" in text.replace("\r\n", ""):
            self.plain = False
        pending = ""
        for number, line in enumerate(lines, start=1):
            line, comment, _ = (pending + line).partition("#")
            pending = ""
            said = line.strip()
            if comment and said:
                self.plain = False
            # Paths in comments and names may end so as well.
            if not comment and said.endswith("\\"):
                self.plain = False
                word, *_ = said.rstrip("\\").split() or [""]
                if word in _CONTINUED and number < len(lines):
                    pending = said[:-1] + " "
                    continue
            if said:
                yield number, line

    def _add_vertex(self, words: list[str]) -> None:
        if len(words) < 3:
            raise ObjError(
                f"a vertex of {len(words)} numbers instead of 3: the file is damaged or cut short"
            )
        try:
            numbers = [float(word) for word in words]
        except ValueError as error:
            raise ObjError(f"a vertex that is no numbers ({error})") from None
        if not all(map(math.isfinite, numbers[:3])):
            raise ObjError("a vertex that is NaN or infinite; export it again")
        if len(numbers) == 4 and numbers[3] != 1.0:
            raise ObjError(
                f"a vertex with the weight {numbers[3]:g}, which some programs divide by and "
                "others pass over; export it without weights"
            )
        self._widths.add(len(words))
        self._vertices.append((numbers[0], numbers[1], numbers[2]))
        self._loose += 1

    def _add_face(self, words: list[str]) -> None:
        corners = []
        for word in words:
            index, *others = word.split("/")
            try:
                number = int(index)
            except ValueError:
                raise ObjError(f"a face with the corner {word!r}, which is no number") from None
            # Relative ones count back from the vertices so far.
            self.plain &= number > 0 and all(not other.startswith("-") for other in others)
            if number == 0:
                raise ObjError("a face with the vertex 0; they are counted from 1")
            corners.append(number - 1 if number > 0 else len(self._vertices) + number)
            if corners[-1] < 0:
                raise ObjError(f"a face with the vertex {number}, before the first one")
            self._styles.add(tuple(map(bool, others)))
        if len(corners) < 3:  # a line or a point
            self.plain = False
            return
        self._faces.append((self._name, self._group, corners))
        self._loose = 0

    def _finish(self) -> None:
        used = {corner for *_, corners in self._faces for corner in corners}
        count = len(self._vertices)
        if used and max(used) >= count:
            raise ObjError(
                f"a face has the vertex {max(used) + 1}, and the file has {count}: it is damaged "
                "or cut short"
            )
        last = range(count - self._loose, count)
        if used and last and used.isdisjoint(last):
            raise ObjError(f"its last {len(last)} vertices are in no face: it is cut short")
        if used and self._unended and len(used) < _USED * count:
            raise ObjError(
                f"{count - len(used)} of its {count} vertices are in no face, and its last line "
                "has no end: it is cut short"
            )
        if self._split_groups and not used.issuperset(range(self._first, count)):
            raise ObjError("its last piece has vertices that are in no face: it is cut short")
        self.plain &= len(self._widths) == len(self._styles) == 1
        self.plain &= self._named or self._group is None or not self._split_groups
        if self.plain:
            faces = [corners for *_, corners in self._faces]
            self.plain = all_fans_are_right(np.array(self._vertices), faces)

    def text(self) -> str:
        """In plain form: vertices, and triangles by their object."""
        points = np.array(self._vertices).reshape(-1, 3)
        lines = [f"v {x!r} {y!r} {z!r}" for x, y, z in self._vertices]
        before = ""
        for name, group, corners in self._faces:
            label = (group if self._split_groups and not self._named else name) or "object"
            if label != before:
                lines.append(f"o {label}")
                before = label
            try:
                triangles = all_triangulated(points, [corners])
            except ValueError as error:
                raise ObjError(str(error)) from None
            lines += [f"f {a} {b} {c}" for a, b, c in triangles + 1]
        return "\n".join(lines) + "\n"
