"""`loomark rebuild`: every projection again from the log and the stored records."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from .output import out, print_json, progress

app = typer.Typer(add_completion=False)


@app.command()
def rebuild(
    data: Annotated[Path, typer.Option(help="Folder of a stopped node.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Drop lineage, visibility and the knowledge graph and derive them again; the result is equal to what was there."""
    from api.serve import node_settings
    from api.settings import load_settings
    from fabric.capture.node import DATABASE, rebuild_folder

    settings = load_settings(data, {}, os.environ)
    with progress() as shown:
        task = shown.add_task("lineage and visibility", total=None)
        captures = rebuild_folder(
            node_settings(settings), lambda done, total: shown.update(task, completed=done, total=total)
        )
        shown.add_task("knowledge graph", total=None)
        size = _rebuild_graph(data, settings.database or data / DATABASE)
    if as_json:
        print_json({"captures": captures, "graphSize": size})
    else:
        out.print(f"rebuilt from {captures} captures; the graph covers tree size {size}")


def _rebuild_graph(data: Path, database: Path | str) -> int:
    """Derive the graph again under the folder's lock; gives the tree size it covers."""
    from fabric.capture.lock import FolderLock
    from fabric.graph.projection import rebuild as rebuild_graph
    from fabric.graph.source import Source
    from fabric.store.engine import reader_engine

    lock = FolderLock(data / "lock")
    lock.acquire()
    engine = reader_engine(database, pool_size=1)
    try:
        return rebuild_graph(data / "graph", Source(engine)).size
    finally:
        engine.dispose()
        lock.release()
