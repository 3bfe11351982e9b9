"""What a name in an HDF5 file leads to, through links and into other files.

The library follows links by itself, but takes a missing target for a missing name, reads fill
values where the source of a virtual dataset is missing, and any file of the machine as numbers
where the storage is external. So links are followed here, one by one, and a dataset is looked at
before it is used: its filters, the files that it is made of, and its size against theirs.
"""

from __future__ import annotations

import importlib
import math
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

import h5py

from homodyne_cli.errors import DataError
from homodyne_cli.io.formats.guard import (
    COPY_AGAIN,
    check_regular,
    check_size,
    guarded,
    one_line,
)

Node: TypeAlias = h5py.Group | h5py.Dataset

#: Links on the way to one object; more are a circle.
_MOST_LINKS: Final = 40
#: Registered filters whose own name may be missing in the file.
_FILTERS: Final = {
    4: "szip",
    307: "bzip2",
    32001: "blosc",
    32004: "lz4",
    32008: "bitshuffle",
    32013: "zfp",
    32015: "zstd",
    32017: "sz",
    32024: "sz3",
    32026: "blosc2",
}


@dataclass(frozen=True)
class LinkedFiles:
    """An HDF5 file and those that its links and virtual datasets lead to, each opened once.

    Attributes
    ----------
    main
        Path of the file that names are looked up in.
    held
        Closes all files.
    handles
        Open files, in the order in which they were needed.
    checked
        Bytes on disk of the datasets that were looked at, by file and name.
    """

    main: Path
    held: ExitStack
    handles: dict[Path, h5py.File] = field(default_factory=dict)
    checked: dict[tuple[Path, str], int] = field(default_factory=dict)

    def open(self, path: Path) -> h5py.File:
        """Return a file, opened for reading.

        Raises
        ------
        DataError
            It is locked, truncated, damaged, or no regular file.
        """
        if path not in self.handles:
            self.handles[path] = self.held.enter_context(_opened(path))
        return self.handles[path]

    def find(self, path: Path, name: str) -> tuple[Path, Node] | None:
        """Return what a name in a file leads to and the file that it is in.

        None means that there is no such name.

        Raises
        ------
        DataError
            A link on the way leads nowhere or in a circle, or the file is damaged.
        """
        parts, trail = _parts(name), [name]
        node: Node = self._root(path, trail)
        while parts:
            part = parts.pop(0)
            with guarded(path, name):
                link = _link(node, part)
                if isinstance(link, h5py.HardLink):
                    node = node[part]
                    continue
            if link is None and len(trail) == 1:
                return None
            if link is None:
                raise _broken(self.main, trail)
            parts = _parts(link.path) + parts
            trail.append(link.path)
            if isinstance(link, h5py.ExternalLink):
                path = _beside(path, link.filename)
                trail[-1] = f"{path}:{link.path}"
            if isinstance(link, h5py.ExternalLink) or link.path.startswith("/"):
                node = self._root(path, trail)
            if len(trail) > _MOST_LINKS:
                raise DataError(
                    f"links lead in a circle: {' -> '.join(trail[:4])} -> ...",
                    path=self.main,
                    dataset=name,
                )
        return path, node

    def _root(self, path: Path, trail: list[str]) -> h5py.Group:
        """Return the root group of a file that a trail of links leads to."""
        if path != self.main and not path.exists():
            raise _broken(self.main, trail)
        try:
            file = self.open(path)
            with guarded(path):
                return file["/"]
        except DataError as error:
            if path == self.main:
                raise
            where = " -> ".join(trail[1:])
            raise DataError(
                f"leads to {where}: {error}", path=self.main, dataset=trail[0], hint=error.hint
            ) from error

    def check(self, path: Path, dataset: h5py.Dataset, above: tuple[str, ...] = ()) -> int:
        """Return the bytes that a dataset takes on disk, in whatever files.

        Parameters
        ----------
        path
            The file it is in.
        above
            The virtual datasets that it is a source of.

        Raises
        ------
        DataError
            It cannot be read as it stands: a filter or a source is missing, it is stored outside
            of HDF5, or declares more than its storage can hold.
        """
        with guarded(path):
            name, shape, declared = str(dataset.name), dataset.shape or (), int(dataset.nbytes)
            creation, virtual = dataset.id.get_create_plist(), dataset.is_virtual
            stored = int(dataset.id.get_storage_size())
            external = creation.get_external(0)[0] if creation.get_external_count() else b""
            filters = [creation.get_filter(k) for k in range(creation.get_nfilters())]
        if (path, name) in self.checked:
            return self.checked[path, name]
        if external:
            raise DataError(
                f"has its values in {external.decode(errors='replace')} (external storage), which "
                "may be any file and is not read",
                path=path,
                dataset=name,
                hint="h5repack writes a copy that holds its own values",
            )
        for code, _, _, label in filters:
            _check_filter(code, label.decode(errors="replace"), path, name)
        if virtual:
            stored = self._check_sources(path, dataset, above)
        check_size(declared, stored, path, name, shape)
        self.checked[path, name] = stored
        return stored

    def _check_sources(self, path: Path, dataset: h5py.Dataset, above: tuple[str, ...]) -> int:
        with guarded(path):
            name = str(dataset.name)
            sources = dataset.virtual_sources()
        here = f"{path}:{name}"
        if here in above:
            circle = " -> ".join((*above, here))
            raise DataError(f"virtual datasets in a circle: {circle}", path=path, dataset=name)
        stored: dict[tuple[Path, str], int] = {}
        for source in sources:
            target, inside = path, source.dset_name.replace("%%", "%")
            if source.file_name != ".":
                target = _beside(path, source.file_name.replace("%%", "%"))
            there, part = self._source(path, name, target, inside)
            with guarded(path, name):
                shape = part.shape
                held = _covers(shape, source)
            if not held:
                raise DataError(
                    f"takes more from {target}:{inside} than it has: {shape}",
                    path=path,
                    dataset=name,
                )
            stored[there, part.name] = self.check(there, part, (*above, here))
        return sum(stored.values())

    def _source(
        self, path: Path, name: str, target: Path, inside: str
    ) -> tuple[Path, h5py.Dataset]:
        """Return a source of a virtual dataset."""
        trail = [name, f"{target}:{inside}"]
        self._root(target, trail)
        place = self.find(target, inside)
        if place is None or not isinstance(place[1], h5py.Dataset):
            # Numbered sources (%b) end here too: how many there should be is written nowhere.
            raise _broken(path, trail)
        return place[0], place[1]


def _parts(name: str) -> list[str]:
    return [part for part in name.split("/") if part not in ("", ".")]


def _link(node: Node, part: str) -> h5py.HardLink | h5py.SoftLink | h5py.ExternalLink | None:
    """Return the link of that name in a group, None if there is none, without following it."""
    key = part.encode()
    if not isinstance(node, h5py.Group) or not node.id.links.exists(key):
        return None
    kind = node.id.links.get_info(key).type
    if kind == h5py.h5l.TYPE_HARD:
        return h5py.HardLink()
    value = node.id.links.get_val(key)
    if kind == h5py.h5l.TYPE_SOFT:
        return h5py.SoftLink(value.decode())
    file_name, inside = value
    return h5py.ExternalLink(file_name.decode(), inside.decode())


def _beside(path: Path, name: str) -> Path:
    """Return the file that a link names, looked for as the library does."""
    named = Path(name)
    with guarded(path):
        places = [path.parent / named, path.resolve().parent / named, path.parent / named.name]
        return next((place for place in places if place.exists()), places[0])


def _broken(path: Path, trail: list[str]) -> DataError:
    return DataError(
        f"leads to {' -> '.join(trail[1:])}, which is missing",
        path=path,
        dataset=trail[0],
        hint="put what is missing where the link looks for it",
    )


def _covers(shape: tuple[int, ...], source: h5py.VDSmap) -> bool:
    """Return whether a shape holds all that a virtual dataset takes of it."""
    if source.src_space.get_select_type() == h5py.h5s.SEL_ALL:
        return bool(math.prod(shape) == source.vspace.get_select_npoints())
    try:
        _, last = source.src_space.get_select_bounds()
    except RuntimeError:
        # The selection has no end: it takes what there is.
        return True
    return len(last) == len(shape) and all(k < n for k, n in zip(last, shape, strict=True))


def _check_filter(code: int, label: str, path: Path, name: str) -> None:
    if h5py.h5z.filter_avail(code):
        return
    with suppress(ImportError):
        # Registers its filters with the library.
        importlib.import_module("hdf5plugin")
    if not h5py.h5z.filter_avail(code):
        known = _FILTERS.get(code) or label.partition(";")[0] or "unknown"
        raise DataError(
            f"compressed with {known} (HDF5 filter {code}), which is not installed",
            path=path,
            dataset=name,
            hint="pip install hdf5plugin, or write a copy with gzip (h5repack -f GZIP=4)",
        )


def _opened(path: Path) -> h5py.File:
    check_regular(path)
    with guarded(path):
        try:
            return h5py.File(path, "r")
        except BlockingIOError as error:
            raise DataError(
                "locked by another program that has it open for writing",
                path=path,
                hint="wait until that program closes the file, or copy the file and read the copy",
            ) from error
        except OSError as error:
            _, truncated, sizes = str(error).partition("truncated file: ")
            reason = f"truncated HDF5 file ({sizes.rstrip(')')})" if truncated else ""
            raise DataError(
                reason or f"cannot be read as HDF5: {one_line(error)}", path=path, hint=COPY_AGAIN
            ) from error
