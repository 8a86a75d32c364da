"""What a fleet says of itself: nodes, groups and cameras, from any machine of the cluster."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..errors import UsageError
from .camera_group import GroupReport
from .ray_cluster import host_of, living_nodes, running_groups
from .ray_control import ANSWER_S, find_control
from .ray_group import kill

REPORT_S = 10.0  # that groups have for their reports
SHORT = 8  # letters of a node's id that are shown


def status(ray: Any) -> dict[str, Any]:
    """Nodes and groups of the fleet. Raises UsageError where none runs."""
    control = find_control(ray)
    draining = ray.get(control.draining.remote(), timeout=ANSWER_S)
    supervised = ray.get(control.supervised.remote(), timeout=ANSWER_S)
    hosts = {node["NodeID"]: host_of(node) for node in living_nodes(ray)}
    nodes = [
        {"node": node, "host": host, "draining": node in draining} for node, host in hosts.items()
    ]
    found = sorted(running_groups(ray, REPORT_S).items())
    groups = [_group(name, report, hosts) for name, (_, report) in found]
    return {"type": "fleet", "supervised": supervised, "nodes": nodes, "groups": groups}


def _group(name: str, report: GroupReport | None, hosts: dict[str, str]) -> dict[str, Any]:
    if report is None:
        return {"group": name, "answers": False, "cameras": []}
    figures = {of.source: of for of in report.figures.sources}
    cameras = []
    for camera in report.cameras:
        seen = figures.get(camera.name)
        cameras.append(
            {
                "camera": camera.name,
                "fps": round(seen.camera_hz, 1) if seen else 0.0,
                "frames": seen.frames if seen else 0,
                "events": seen.events if seen else 0,
                "reconnects": seen.reconnects if seen else 0,
                "ended": report.ended.get(camera.name),
            }
        )
    return {
        "group": name,
        "answers": True,
        "node": report.place,
        "host": hosts.get(report.place),
        "epoch": report.epoch_ns,
        "failure": report.failure,
        "cameras": cameras,
    }


def lines_of(found: dict[str, Any]) -> Iterator[str]:
    """The same in words, a line for each node, group and camera."""
    if not found["supervised"]:
        yield "no supervisor works: cameras go on, and nothing that fails is replaced"
    for node in found["nodes"]:
        yield f"node {node['node'][:SHORT]} on {node['host']}{_draining(node)}"
    for group in found["groups"]:
        if not group["answers"]:
            yield f"{group['group']} does not answer"
            continue
        failed = f", failed: {group['failure']}" if group["failure"] else ""
        yield f"{group['group']} on {group['host']}{failed}"
        for camera in group["cameras"]:
            ended = "" if camera["ended"] is None else f", ended {camera['ended']}".rstrip()
            yield (
                f"  {camera['camera']}: {camera['fps']} fps, {camera['frames']} frames, "
                f"{camera['events']} events{ended}"
            )


def _draining(node: dict[str, Any]) -> str:
    return ", is being emptied" if node["draining"] else ""


def drain(ray: Any, name: str, undo: bool = False) -> int:
    """Empty the nodes of a host, or the one whose id begins so; or use them again.

    Gives how many nodes that is. Raises UsageError where there is none, or no fleet.
    """
    control = find_control(ray)
    nodes = living_nodes(ray)
    chosen = [node["NodeID"] for node in nodes if host_of(node) == name]
    if not chosen and len(name) >= SHORT:
        chosen = [node["NodeID"] for node in nodes if node["NodeID"].startswith(name)]
    if not chosen:
        hosts = ", ".join(sorted({host_of(node) for node in nodes}))
        raise UsageError(f"no node is called {name!r}; hosts: {hosts}")
    ray.get(control.drain.remote(chosen, undo), timeout=ANSWER_S)
    return len(chosen)


def stop(ray: Any, wait_s: float) -> int:
    """End all groups in order, then the control; how many groups that were.

    Raises UsageError where no fleet runs, or its supervisor works: that would start them again.
    """
    control = find_control(ray)
    if ray.get(control.supervised.remote(), timeout=ANSWER_S):
        raise UsageError("a supervisor works and would start them again: end `fleet run` first")
    groups = running_groups(ray, REPORT_S)
    closing = [actor.close.remote() for actor, _ in groups.values()]
    if closing:
        ray.wait(closing, num_returns=len(closing), timeout=wait_s)
    for actor in [*(actor for actor, _ in groups.values()), control]:
        kill(ray, actor)
    return len(groups)
