"""Static files read once at start: compressed, tagged, and cacheable for ever under a path that names their version."""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_TYPES: Final = {".js": "text/javascript", ".woff2": "font/woff2", ".svg": "image/svg+xml", ".css": "text/css"}
_COMPRESSED: Final = frozenset({".js", ".css", ".svg", ".md", ".txt", ".json"})


@dataclass(frozen=True, slots=True)
class StaticFile:
    """One file as it is sent."""

    content_type: str
    etag: str
    body: bytes
    gzipped: bytes | None


class StaticFiles:
    """The files under `folder` that match `pattern`, as they were at start; nothing else can be reached."""

    def __init__(self, folder: Path, pattern: str = "**/*") -> None:
        paths = sorted(path for path in folder.glob(pattern) if path.is_file())
        self._files = {path.relative_to(folder).as_posix(): _read(path) for path in paths}
        digest = hashlib.blake2b(digest_size=6)
        for name, file in self._files.items():
            digest.update(f"{name}\0{file.etag}\0".encode())
        self.version = digest.hexdigest()

    def find(self, path: str) -> tuple[StaticFile, bool] | None:
        """The file at `path`, with or without a version before it, and whether that path will always mean this."""
        version, _, rest = path.partition("/")
        if file := self._files.get(rest):
            return file, version == self.version
        return (file, False) if (file := self._files.get(path)) else None


def _read(path: Path) -> StaticFile:
    body = path.read_bytes()
    content_type = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    if content_type.startswith("text/") or path.suffix in (".md", ".txt"):
        content_type = f"{content_type if content_type.startswith('text/') else 'text/plain'}; charset=utf-8"
    gzipped = gzip.compress(body, 9, mtime=0) if path.suffix in _COMPRESSED else None
    return StaticFile(content_type, hashlib.blake2b(body, digest_size=12).hexdigest(), body, gzipped)
