"""Paths on an object store: pathlib's interface over fsspec, by `upath`, adapted to how buckets work.

Imported only by `lexveil.pipeline.workspace.storage`, once a URL is met.
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import IO, Any, Self

from upath.extensions import ProxyUPath

_NO_VERSIONS = ("NotImplemented", "MethodNotAllowed")  # error codes of stores that imitate S3
_BLOCK = 5 << 20  # bytes to read ahead, and the smallest part of an upload that S3 accepts


class RemotePath(ProxyUPath):
    """A file, or a prefix of files, on any fsspec file system.

    A file appears whole or not at all: a small one by one PUT, a large one by an upload that is completed at
    its end. There are no folders to create, and buckets are never created. Listings are never cached, since
    other machines write too, and a listing that fails raises: fsspec's own `glob` would return nothing.
    """

    __slots__ = ()

    def read_bytes(self) -> bytes:
        """Read the whole file."""
        content = self.fs.cat_file(self.path)
        assert isinstance(content, bytes)
        return content

    def read_text(
        self, encoding: str | None = None, errors: str | None = None, newline: str | None = None
    ) -> str:
        """Read the whole file as text, UTF-8 by default; line ends stay as they are."""
        del newline
        return self.read_bytes().decode(encoding or "utf-8", errors or "strict")

    def write_bytes(self, data: bytes) -> int:
        """Write the whole file. Returns the number of bytes."""
        self.fs.pipe_file(self.path, bytes(data))
        return len(data)

    def write_text(
        self,
        data: str,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
    ) -> int:
        """Write the whole file as text, UTF-8 by default. Returns the number of bytes."""
        del newline
        return self.write_bytes(data.encode(encoding or "utf-8", errors or "strict"))

    def write_new(self, data: bytes) -> None:
        """Write a file that must not exist yet.

        Raises:
            FileExistsError: the file exists.
        """
        self.fs.pipe_file(self.path, data, mode="create")

    def open(self, mode: str = "r", *args: Any, **options: Any) -> IO[Any]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Open the file; it is read in blocks."""
        if not args:
            options.setdefault("block_size", _BLOCK)
        return super().open(mode, *args, **options)

    def mkdir(self, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        """Do nothing: a store has no folders."""
        del mode, parents, exist_ok

    def iterdir(self) -> Iterator[Self]:
        """List the files and prefixes directly below this prefix."""
        prefix = self.path.rstrip("/")
        for entry in self.fs.ls(prefix, detail=True):
            name = str(entry["name"]).rstrip("/")
            if name != prefix:  # a marker that a console has created for the folder itself
                yield self / name.rpartition("/")[2]

    def glob(
        self, pattern: str, *, case_sensitive: bool | None = None, recurse_symlinks: bool = False
    ) -> Iterator[Self]:
        """List the paths below this prefix that match a pattern without `**`."""
        del case_sensitive, recurse_symlinks
        first, _, rest = pattern.partition("/")
        try:
            matches = [path for path in self.iterdir() if fnmatchcase(path.name, first)]
        except FileNotFoundError:
            return
        for path in matches:
            if rest:
                yield from path.glob(rest)
            else:
                yield path

    def rglob(
        self, pattern: str, *, case_sensitive: bool | None = None, recurse_symlinks: bool = False
    ) -> Iterator[Self]:
        """List the files, not the prefixes, at any depth whose names match a pattern."""
        del case_sensitive, recurse_symlinks
        root = self.path.rstrip("/")
        folders = [root]
        while folders:
            for name, is_folder in self._list_entries(folders.pop()):
                if is_folder:
                    folders.append(name)
                elif fnmatchcase(name.rpartition("/")[2], pattern):
                    yield self / name[len(root) + 1 :]

    def _list_entries(self, folder: str) -> Iterator[tuple[str, bool]]:
        """List name and kind (True: a prefix) of what is directly below a prefix, without its own marker."""
        try:
            entries = self.fs.ls(folder, detail=True)
        except FileNotFoundError:
            return
        for entry in entries:
            is_folder = entry["type"] == "directory"
            name = str(entry["name"])
            if name.rstrip("/") != folder:
                yield name.rstrip("/") if is_folder else name, is_folder

    def unlink(self, missing_ok: bool = False) -> None:
        """Delete the file."""
        if not missing_ok and not self.exists():
            raise FileNotFoundError(str(self))
        try:
            self.fs.rm_file(self.path)
        except FileNotFoundError:
            if not missing_ok:
                raise

    def delete_old_versions(self) -> int:
        """Delete what an S3 bucket keeps of former versions below this prefix.

        Returns:
            The number of versions deleted; 0 on stores without versions.

        Raises:
            PermissionError: the credentials may not list or delete versions.
        """
        if self.protocol not in ("s3", "s3a"):
            return 0
        bucket, _, prefix = self.path.rstrip("/").partition("/")
        page: dict[str, Any] = {"Bucket": bucket, "Prefix": f"{prefix}/" if prefix else ""}
        count, more = 0, True
        while more:
            listing = self._list_versions(page)
            if listing is None:
                return 0
            former = [
                {"Key": entry["Key"], "VersionId": entry["VersionId"]}
                for entry in listing.get("Versions", ())
                if not entry["IsLatest"]
            ]
            self._delete_versions(bucket, former)
            count += len(former)
            more = listing["IsTruncated"]
            page |= {f"{name}Marker": listing.get(f"Next{name}Marker", "") for name in ("Key", "VersionId")}
        return count

    def _list_versions(self, page: dict[str, Any]) -> dict[str, Any] | None:
        """List one page of versions; None if the store has no versions."""
        fs: Any = self.fs
        try:
            return fs.call_s3("list_object_versions", **page)
        except OSError as error:
            code = getattr(error.__cause__, "response", {}).get("Error", {}).get("Code")
            if code in _NO_VERSIONS:
                return None
            raise

    def _delete_versions(self, bucket: str, versions: list[dict[str, Any]]) -> None:
        fs: Any = self.fs
        if versions:
            request = {"Objects": versions, "Quiet": True}
            if fs.call_s3("delete_objects", Bucket=bucket, Delete=request).get("Errors"):
                raise PermissionError("the bucket keeps older versions")
