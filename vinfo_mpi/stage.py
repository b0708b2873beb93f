"""What a stage of the pipeline is: a row of `vinfo_mpi.registry`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Stage:
    """One step of the pipeline.

    Attributes
    ----------
    work : str
        The function that does it, as ``package.module:function``; its module also has `costs`.
    reads : tuple of str
        Its inputs: products of other stages, or stages whose part of results.h5 it reads.
    settings : tuple of str
        The sections of the configuration that its result depends on.
    makes : tuple of str
        Its products, by their names in `vinfo_mpi.run.products`; by default its part of results.h5.
    ignores : mapping of str to set of str
        Settings in these sections that its result does not depend on.
    files : mapping of str to str
        Files of the user's that it reads as well: what they are called in `inputs`, and the setting
        that names them.
    shows : tuple of str
        What it reads as well where it is there, but does not need.
    optional : mapping of str to str
        Analyses whose results it reads as well where the run makes them and has made them, and the
        setting that lets it.
    packages : tuple of str
        What it imports that is not among the dependencies: extras, see `vinfo_mpi.errors.EXTRAS`.
    remedy : str
        What to change where it needs more memory than there is.
    long : bool
        Whether it takes as long as the stages before it together, or longer.
    version : int
        Of what it computes, raised where that changes: what an earlier version has left is stale.
    """

    work: str
    reads: tuple[str, ...]
    settings: tuple[str, ...]
    makes: tuple[str, ...] = ()
    ignores: Mapping[str, set[str]] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    shows: tuple[str, ...] = ()
    optional: Mapping[str, str] = field(default_factory=dict)
    packages: tuple[str, ...] = ()
    remedy: str = "use more ranks, or lower machine.rows"
    long: bool = False
    version: int = 1

    @property
    def module(self) -> str:
        """The module that does the work."""
        return self.work.partition(":")[0]
