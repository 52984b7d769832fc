"""A path of an object store: pathlib's interface over fsspec, by `upath`, with what a bucket does otherwise.

Imported by `lexveil.pipeline.workspace.storage` alone, and only once a URL is met.
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import IO, Any, Self

from upath.extensions import ProxyUPath

_NO_VERSIONS = ("NotImplemented", "MethodNotAllowed")  # of S3's imitators
_BLOCK = 5 << 20  # read ahead, and the least that S3 takes as a part of an upload


class RemotePath(ProxyUPath):
    """A file, or a prefix of files, on any fsspec file system.

    What is written appears whole or not at all: a small file by one PUT, a large one by an upload that is
    completed at its end. There are no folders to make, and no bucket is ever made. Listings are never cached,
    since other machines write too, and one that fails raises: fsspec's own `glob` would call it empty.
    """

    __slots__ = ()

    def read_bytes(self) -> bytes:
        content = self.fs.cat_file(self.path)
        assert isinstance(content, bytes)
        return content

    def read_text(
        self, encoding: str | None = None, errors: str | None = None, newline: str | None = None
    ) -> str:
        del newline
        return self.read_bytes().decode(encoding or "utf-8", errors or "strict")

    def write_bytes(self, data: bytes) -> int:
        self.fs.pipe_file(self.path, bytes(data))
        return len(data)

    def write_text(
        self,
        data: str,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
    ) -> int:
        del newline
        return self.write_bytes(data.encode(encoding or "utf-8", errors or "strict"))

    def write_new(self, data: bytes) -> None:
        """Write a file that must not be there yet. Raises FileExistsError where it is."""
        self.fs.pipe_file(self.path, data, mode="create")

    def open(self, mode: str = "r", *args: Any, **options: Any) -> IO[Any]:  # pyright: ignore[reportIncompatibleMethodOverride]
        if not args:
            options.setdefault("block_size", _BLOCK)
        return super().open(mode, *args, **options)

    def mkdir(self, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        del mode, parents, exist_ok

    def iterdir(self) -> Iterator[Self]:
        here = self.path.rstrip("/")
        for entry in self.fs.ls(here, detail=True):
            name = str(entry["name"]).rstrip("/")
            if name != here:  # a marker that a console has left for the folder itself
                yield self / name.rpartition("/")[2]

    def glob(
        self, pattern: str, *, case_sensitive: bool | None = None, recurse_symlinks: bool = False
    ) -> Iterator[Self]:
        del case_sensitive, recurse_symlinks
        first, _, rest = pattern.partition("/")
        try:
            found = [path for path in self.iterdir() if fnmatchcase(path.name, first)]
        except FileNotFoundError:
            return
        for path in found:
            if rest:
                yield from path.glob(rest)
            else:
                yield path

    def rglob(
        self, pattern: str, *, case_sensitive: bool | None = None, recurse_symlinks: bool = False
    ) -> Iterator[Self]:
        """Files alone, whatever their depth."""
        del case_sensitive, recurse_symlinks
        folders = [self.path.rstrip("/")]
        base = len(folders[0]) + 1
        while folders:
            here = folders.pop()
            try:
                entries = self.fs.ls(here, detail=True)
            except FileNotFoundError:
                continue
            for entry in entries:
                name = str(entry["name"])
                if entry["type"] == "directory":
                    if name.rstrip("/") != here:
                        folders.append(name.rstrip("/"))
                elif name.rstrip("/") != here and fnmatchcase(name.rpartition("/")[2], pattern):
                    yield self / name[base:]

    def unlink(self, missing_ok: bool = False) -> None:
        if not missing_ok and not self.exists():
            raise FileNotFoundError(str(self))
        try:
            self.fs.rm_file(self.path)
        except FileNotFoundError:
            if not missing_ok:
                raise

    def delete_old_versions(self) -> int:
        """Delete what an S3 bucket keeps of former versions below this prefix; returns how many.

        Raises PermissionError where the credentials may not list or delete versions.
        """
        if self.protocol not in ("s3", "s3a"):
            return 0
        bucket, _, prefix = self.path.rstrip("/").partition("/")
        page: dict[str, Any] = {"Bucket": bucket, "Prefix": f"{prefix}/" if prefix else ""}
        count, more = 0, True
        call: Any = self.fs
        while more:
            try:
                found = call.call_s3("list_object_versions", **page)
            except OSError as error:
                code = getattr(error.__cause__, "response", {}).get("Error", {}).get("Code")
                if code in _NO_VERSIONS:
                    return 0
                raise
            former = [
                {"Key": entry["Key"], "VersionId": entry["VersionId"]}
                for entry in found.get("Versions", ())
                if not entry["IsLatest"]
            ]
            if former:
                done = call.call_s3(
                    "delete_objects", Bucket=bucket, Delete={"Objects": former, "Quiet": True}
                )
                if done.get("Errors"):
                    raise PermissionError("the bucket keeps older versions")
            count += len(former)
            more = found["IsTruncated"]
            page |= {f"{name}Marker": found.get(f"Next{name}Marker", "") for name in ("Key", "VersionId")}
        return count
