"""What BORIS makes of a project: run by a Python that has it, prints a JSON object.

    python read_by_boris.py PROJECT.boris FOLDER

Keys: version; error, what it says of a project that it does not open as it is; faults, what its
check of projects finds; events, by observation, with what it takes each for; tables, which it
exports to FOLDER. Exit code 3: BORIS cannot be used here, and standard error says why.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

UNUSABLE = 3


def main(path: str, folder: str) -> dict[str, Any]:
    """Open the project as the program does, check it, and export its tables of events."""
    try:
        from boris import config, export_observation, project_functions, version
    except (ImportError, OSError) as error:  # the latter without libmpv
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(UNUSABLE)
    _, changed, project, message = project_functions.open_project_json(path)
    error = project.get("error", message) or ("it converts it" if changed else "")
    found: dict[str, Any] = {"version": version.__version__, "error": error}
    if error:
        return found
    ethogram = project["behaviors_conf"]
    faults = project_functions.check_project_integrity(project, "seconds", path, True)
    found["faults"] = [part for part in faults.split("<br>") if part]
    subjects = [each["name"] for each in project["subjects_conf"].values()]
    parameters = {
        "time": config.TIME_EVENTS,
        config.SELECTED_SUBJECTS: [config.NO_FOCAL_SUBJECT, *subjects],
        config.SELECTED_BEHAVIORS: [each["code"] for each in ethogram.values()],
    }
    found |= {"events": {}, "tables": []}
    for name, observation in project["observations"].items():
        marks = project_functions.events_start_stop(
            ethogram, observation["events"], observation["type"]
        )
        found["events"][name] = [[str(cell) for cell in mark] for mark in marks]
        file = Path(folder) / f"{len(found['tables'])}.tsv"
        done, words = export_observation.export_tabular_events(
            project, parameters, name, observation, ethogram, str(file), "tsv"
        )
        found["faults"] += [] if done else [words]
        found["tables"].append(str(file))
    return found


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
