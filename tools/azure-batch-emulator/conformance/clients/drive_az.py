"""The scenario's operations with the Azure CLI's own commands, in one process: drive_az.py ENDPOINT ACCOUNT KEY."""

import json
import os
import re
import sys
import tempfile

from azure.cli.core import get_default_cli
from wire import Refused, code_of, serve

endpoint, account, key = sys.argv[1:]
folder = tempfile.mkdtemp()
login = ["--account-name", account, "--account-key", key, "--account-endpoint", endpoint]


def refusal(error):
    """`409 JobExists` of whatever az wraps Batch's error in."""
    seen = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        response = getattr(error, "response", None)
        status = getattr(response, "status_code", None)
        if status is not None:
            inner = getattr(error, "error", None)
            code = getattr(inner, "code", None) or code_of(getattr(response, "text", ""))
            return f"{status} {code or ''}".strip()
        error = error.__cause__ or error.__context__
    return None


def az(*words, **flags):
    args = ["batch", *words, *login]
    for flag, value in flags.items():
        if value is not None:
            args += ["--" + flag.replace("_", "-"), *([str(item) for item in value] if isinstance(value, list) else [str(value)])]
    cli = get_default_cli()
    try:
        code = cli.invoke(args, out_file=open(os.devnull, "w"))
    except SystemExit as error:
        code = error.code
    result = cli.result
    if code:
        failure = getattr(result, "error", None)
        raise Refused(refusal(failure) or f"exit {code}: {failure}")
    return json.loads(json.dumps(result.result, default=str)) if result.result is not None else None


def body(value):
    path = os.path.join(folder, "body.json")
    with open(path, "w") as handle:
        json.dump(value, handle)
    return path


def download(a):
    if "range" in a:
        first, last = re.match(r"bytes=(\d+)-(\d+)", a["range"]).groups()
    else:
        first, last = None, None
    path = os.path.join(folder, "file")
    if os.path.exists(path):
        os.remove(path)
    az("task", "file", "download", job_id=a["job"], task_id=a["task"], file_path=a["file"], destination=path,
       start_range=first, end_range=last)  # fmt: skip
    with open(path) as handle:
        return handle.read()


def collection(a):
    az("task", "create", job_id=a["job"], json_file=body(a["body"]))
    # az prints nothing of the results: what is there says it.
    there = az("task", "list", job_id=a["job"])
    wanted = {task["id"] for task in a["body"]}
    return [{"taskId": task["id"], "status": "success"} for task in there if task["id"] in wanted]


def metadata(value):
    return [f"{item['name']}={item['value']}" for item in value["metadata"]]


serve(
    {
        "pool add": lambda a: az("pool", "create", json_file=body(a["body"])) and None,
        "pool get": lambda a: az("pool", "show", pool_id=a["pool"]),
        "pool list": lambda a: az("pool", "list", filter=a.get("filter")),
        "pool patch": lambda a: az("pool", "set", pool_id=a["pool"], metadata=metadata(a["body"])) and None,
        "pool resize": lambda a: az(
            "pool", "resize", pool_id=a["pool"], target_dedicated_nodes=a["body"]["targetDedicatedNodes"]
        ) and None,
        "pool stop resize": lambda a: az("pool", "resize", "--abort", pool_id=a["pool"]) and None,
        "pool remove nodes": lambda a: az("node", "delete", pool_id=a["pool"], node_list=a["body"]["nodeList"]),
        "pool delete": lambda a: az("pool", "delete", "--yes", pool_id=a["pool"]),
        "autoscale enable": lambda a: az(
            "pool", "autoscale", "enable", pool_id=a["pool"], auto_scale_formula=a["formula"],
            auto_scale_evaluation_interval=a["interval"],
        ),
        "autoscale disable": lambda a: az("pool", "autoscale", "disable", pool_id=a["pool"]),
        "autoscale evaluate": lambda a: az(
            "pool", "autoscale", "evaluate", pool_id=a["pool"], auto_scale_formula=a["formula"]
        ),
        "supported images": lambda a: az("pool", "supported-images", "list", filter=a.get("filter")),
        "node list": lambda a: az("node", "list", pool_id=a["pool"]),
        "node get": lambda a: az("node", "show", pool_id=a["pool"], node_id=a["node"]),
        "node counts": lambda a: az("pool", "node-counts", "list"),
        "node disable scheduling": lambda a: az(
            "node", "scheduling", "disable", pool_id=a["pool"], node_id=a["node"]
        ),
        "node enable scheduling": lambda a: az("node", "scheduling", "enable", pool_id=a["pool"], node_id=a["node"]),
        "node reboot": lambda a: az("node", "reboot", pool_id=a["pool"], node_id=a["node"]) and None,
        "node user add": lambda a: az(
            "node", "user", "create", pool_id=a["pool"], node_id=a["node"], json_file=body(a["body"])
        ) and None,
        "node user update": lambda a: az(
            "node", "user", "reset", pool_id=a["pool"], node_id=a["node"], user_name=a["user"],
            json_file=body(a["body"]),
        ) and None,
        "node user delete": lambda a: az(
            "node", "user", "delete", "--yes", pool_id=a["pool"], node_id=a["node"], user_name=a["user"]
        ),
        "node file list": lambda a: az(
            "node", "file", "list", pool_id=a["pool"], node_id=a["node"], filter=a.get("filter")
        ),
        "job add": lambda a: az("job", "create", json_file=body(a["body"])) and None,
        "job get": lambda a: az("job", "show", job_id=a["job"]),
        "job list": lambda a: az("job", "list", filter=a.get("filter")),
        "job patch": lambda a: az(
            "job", "set", job_id=a["job"], priority=a["body"]["priority"], if_match=a.get("ifMatch")
        ) and None,
        "job enable": lambda a: az("job", "enable", job_id=a["job"]),
        "job terminate": lambda a: az("job", "stop", job_id=a["job"], terminate_reason=a["reason"]) and None,
        "job delete": lambda a: az("job", "delete", "--yes", job_id=a["job"]),
        "job task counts": lambda a: az("job", "task-counts", "show", job_id=a["job"]),
        "job preparation status": lambda a: az("job", "prep-release-status", "list", job_id=a["job"]),
        "schedule add": lambda a: az("job-schedule", "create", json_file=body(a["body"])) and None,
        "schedule get": lambda a: az("job-schedule", "show", job_schedule_id=a["schedule"]),
        "schedule list": lambda a: az("job-schedule", "list", filter=a.get("filter")),
        "schedule jobs": lambda a: az("job", "list", job_schedule_id=a["schedule"]),
        "schedule patch": lambda a: az(
            "job-schedule", "set", job_schedule_id=a["schedule"], metadata=metadata(a["body"])
        ) and None,
        "schedule disable": lambda a: az("job-schedule", "disable", job_schedule_id=a["schedule"]),
        "schedule enable": lambda a: az("job-schedule", "enable", job_schedule_id=a["schedule"]),
        "schedule terminate": lambda a: az("job-schedule", "stop", job_schedule_id=a["schedule"]),
        "schedule delete": lambda a: az("job-schedule", "delete", "--yes", job_schedule_id=a["schedule"]),
        "task add": lambda a: az("task", "create", job_id=a["job"], json_file=body(a["body"])) and None,
        "task add collection": collection,
        "task get": lambda a: az("task", "show", job_id=a["job"], task_id=a["task"]),
        "task list": lambda a: az("task", "list", job_id=a["job"], filter=a.get("filter"), select=a.get("select")),
        "task update": lambda a: az(
            "task", "reset", job_id=a["job"], task_id=a["task"],
            max_task_retry_count=a["body"]["constraints"]["maxTaskRetryCount"],
        ) and None,
        "task terminate": lambda a: az("task", "stop", job_id=a["job"], task_id=a["task"]) and None,
        "task reactivate": lambda a: az("task", "reactivate", job_id=a["job"], task_id=a["task"]) and None,
        "task delete": lambda a: az("task", "delete", "--yes", job_id=a["job"], task_id=a["task"]),
        "task list subtasks": lambda a: az("task", "subtask", "list", job_id=a["job"], task_id=a["task"])[
            "value"
        ],
        "task file list": lambda a: az(
            "task", "file", "list", job_id=a["job"],
            task_id=a["task"], filter=a.get("filter"), recursive="true" if a.get("recursive") else None,
        ),
        "task file get": download,
        "task file properties": lambda a: az(
            "task", "file", "show", job_id=a["job"], task_id=a["task"], file_path=a["file"]
        ),
        "task file delete": lambda a: az(
            "task", "file", "delete", "--yes", job_id=a["job"], task_id=a["task"], file_path=a["file"]
        ),
    }
)
