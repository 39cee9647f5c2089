"""Point clouds as other programs write them, for tests of what reads them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

FIELDS = ("x", "y", "z", "nx", "ny", "nz")


def ply(points: np.ndarray, how: str = "binary_little_endian", extra: str = "") -> bytes:
    """Points (N, 3), or (N, 6) with normals, as a PLY file; `extra` is a property behind them."""
    names = [*FIELDS[: points.shape[1]], *([extra] if extra else [])]
    header = ["ply", f"format {how} 1.0", "comment by a test", f"element vertex {len(points)}"]
    header += [f"property float {name}" for name in names] + ["end_header", ""]
    columns = np.hstack([points, np.full((len(points), int(bool(extra))), 0.5)])
    if how == "ascii":
        body = "".join(" ".join(f"{v:.9g}" for v in row) + "\n" for row in columns).encode()
    else:
        body = columns.astype("<f4" if "little" in how else ">f4").tobytes()
    return "\n".join(header).encode() + body


def pcd(points: np.ndarray, how: str = "binary", height: int = 1) -> bytes:
    """Points (N, 3) as a PCD file with a padded record and a field of several numbers."""
    kind = np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("_", "u1", (4,)), ("i", "<u2")])
    records = np.zeros(len(points), kind)
    for axis, name in enumerate("xyz"):
        records[name] = points[:, axis]
    records["i"] = np.arange(len(points)) % 9
    header = (
        "# .PCD v0.7 - Point Cloud Data file format\nVERSION 0.7\nFIELDS x y z _ i\n"
        f"SIZE 4 4 4 1 2\nTYPE F F F U U\nCOUNT 1 1 1 4 1\nWIDTH {len(points) // height}\n"
        f"HEIGHT {height}\nVIEWPOINT 0 0 0 1 0 0 0\nPOINTS {len(points)}\nDATA {how}\n"
    )
    if how == "ascii":
        rows = (f"{r['x']:.9g} {r['y']:.9g} {r['z']:.9g} 0 0 0 0 {r['i']}" for r in records)
        return header.encode() + "\n".join(rows).encode()
    if how == "binary":
        return header.encode() + records.tobytes()
    plain = b"".join(records[name].tobytes() for name in kind.names)
    packed = lzf(plain)
    sizes = np.array([len(packed), len(plain)], "<u4").tobytes()
    return header.encode() + sizes + packed


def lzf(plain: bytes) -> bytes:
    """Compressed by LZF: literals, and repetitions of what stands within 8 kB before."""
    packed, literal, at = bytearray(), bytearray(), 0
    last: dict[bytes, int] = {}

    def flush() -> None:
        for start in range(0, len(literal), 32):
            piece = literal[start : start + 32]
            packed.append(len(piece) - 1)
            packed.extend(piece)
        literal.clear()

    while at < len(plain):
        seen = last.get(plain[at : at + 3], -1)
        last[plain[at : at + 3]] = at
        back = at - seen - 1
        if seen < 0 or back >= 1 << 13 or at + 3 > len(plain):
            literal.append(plain[at])
            at += 1
            continue
        length = 3
        while at + length < len(plain) and length < 264 and (
            plain[seen + length] == plain[at + length]
        ):  # fmt: skip
            length += 1
        flush()
        code = length - 2
        packed.append((min(code, 7) << 5) | (back >> 8))
        if code >= 7:
            packed.append(code - 7)
        packed.append(back & 255)
        at += length
    flush()
    return bytes(packed)


def text(points: np.ndarray, separator: str = " ", decimal: str = ".") -> str:
    """A point a line."""
    lines = (separator.join(f"{v:.9g}".replace(".", decimal) for v in row) for row in points)
    return "\n".join(lines) + "\n"


def write(path: Path, data: bytes | str) -> Path:
    """A file with the data."""
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path
