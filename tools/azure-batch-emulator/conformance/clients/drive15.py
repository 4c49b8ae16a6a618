"""The scenario's operations with azure-batch 15: drive15.py ENDPOINT ACCOUNT KEY."""

import sys

from azure.batch import BatchClient
from azure.batch import models as m
from azure.core import MatchConditions
from azure.core.credentials import AzureNamedKeyCredential
from azure.core.exceptions import HttpResponseError
from wire import Refused, code_of, serve

endpoint, account, key = sys.argv[1:]
# Its own retries off: one request is one request.
client = BatchClient(endpoint=endpoint, credential=AzureNamedKeyCredential(account, key), retry_total=0)


def plain(result):
    if isinstance(result, list):
        return [plain(item) for item in result]
    return result.as_dict() if hasattr(result, "as_dict") else result


def body_of(response):
    if response is None:
        return ""
    # Where a stream was expected, nobody has read the error yet.
    response.read()
    return response.text()


def call(act):
    def run(args):
        try:
            return plain(act(args))
        except m.CreateTasksError as error:
            raise Refused(f"failed: {', '.join(task.task_id for task in error.failure_tasks)}") from None
        except HttpResponseError as error:
            raise Refused(f"{error.status_code} {code_of(body_of(error.response))}".strip()) from None

    return run


def options(args):
    given = {}
    if "filter" in args:
        given["filter"] = args["filter"]
    if "select" in args:
        given["select"] = args["select"].split(",")
    if "pageSize" in args:
        given["max_results"] = args["pageSize"]
    return given


def started(poller):
    """The operation was taken; its end is the scenario's to see."""
    return None


def ended(poller):
    return poller.result()


def match(args):
    if "ifMatch" not in args:
        return {}
    return {"etag": args["ifMatch"], "match_condition": MatchConditions.IfNotModified}


quick = {"polling_interval": 0.05}
serve(
    {
        name: call(act)
        for name, act in {
            "pool add": lambda a: client.create_pool(m.BatchPoolCreateOptions(a["body"])),
            "pool exists": lambda a: client.pool_exists(a["pool"]),
            "pool get": lambda a: client.get_pool(a["pool"]),
            "pool list": lambda a: list(client.list_pools(**options(a))),
            "pool patch": lambda a: client.update_pool(a["pool"], m.BatchPoolUpdateOptions(a["body"])),
            "pool resize": lambda a: started(
                client.begin_resize_pool(a["pool"], m.BatchPoolResizeOptions(a["body"]), **quick)
            ),
            "pool stop resize": lambda a: ended(client.begin_stop_pool_resize(a["pool"], **quick)),
            "pool remove nodes": lambda a: ended(
                client.begin_remove_nodes(a["pool"], m.BatchNodeRemoveOptions(a["body"]), **quick)
            ),
            "pool delete": lambda a: ended(client.begin_delete_pool(a["pool"], **quick)),
            "autoscale enable": lambda a: client.enable_pool_auto_scale(
                a["pool"],
                m.BatchPoolEnableAutoScaleOptions(
                    {"autoScaleFormula": a["formula"], "autoScaleEvaluationInterval": a["interval"]}
                ),
            ),
            "autoscale disable": lambda a: client.disable_pool_auto_scale(a["pool"]),
            "autoscale evaluate": lambda a: client.evaluate_pool_auto_scale(
                a["pool"], m.BatchPoolEvaluateAutoScaleOptions({"autoScaleFormula": a["formula"]})
            ),
            "supported images": lambda a: list(client.list_supported_images(**options(a))),
            "node list": lambda a: list(client.list_nodes(a["pool"])),
            "node get": lambda a: client.get_node(a["pool"], a["node"]),
            "node counts": lambda a: list(client.list_pool_node_counts()),
            "node disable scheduling": lambda a: client.disable_node_scheduling(
                a["pool"], a["node"], m.BatchNodeDisableSchedulingOptions({"nodeDisableSchedulingOption": "requeue"})
            ),
            "node enable scheduling": lambda a: client.enable_node_scheduling(a["pool"], a["node"]),
            "node reboot": lambda a: ended(
                client.begin_reboot_node(
                    a["pool"], a["node"], {"nodeRebootOption": "requeue"}, **quick
                )
            ),
            "node user add": lambda a: client.create_node_user(
                a["pool"], a["node"], m.BatchNodeUserCreateOptions(a["body"])
            ),
            "node user update": lambda a: client.replace_node_user(
                a["pool"], a["node"], a["user"], m.BatchNodeUserReplaceOptions(a["body"])
            ),
            "node user delete": lambda a: client.delete_node_user(a["pool"], a["node"], a["user"]),
            "node file list": lambda a: list(client.list_node_files(a["pool"], a["node"], **options(a))),
            "job add": lambda a: client.create_job(m.BatchJobCreateOptions(a["body"])),
            "job get": lambda a: client.get_job(a["job"]),
            "job list": lambda a: list(client.list_jobs(**options(a))),
            "job patch": lambda a: client.update_job(a["job"], m.BatchJobUpdateOptions(a["body"]), **match(a)),
            "job update": lambda a: client.replace_job(a["job"], m.BatchJob(a["body"])),
            "job disable": lambda a: ended(
                client.begin_disable_job(
                    a["job"], m.BatchJobDisableOptions({"disableTasks": a["disableTasks"]}), **quick
                )
            ),
            "job enable": lambda a: ended(client.begin_enable_job(a["job"], **quick)),
            "job terminate": lambda a: ended(
                client.begin_terminate_job(
                    a["job"], {"terminateReason": a["reason"]}, **quick
                )
            ),
            "job delete": lambda a: ended(client.begin_delete_job(a["job"], **quick)),
            "job task counts": lambda a: client.get_job_task_counts(a["job"]),
            "job preparation status": lambda a: list(
                client.list_job_preparation_and_release_task_status(a["job"])
            ),
            "schedule add": lambda a: client.create_job_schedule(m.BatchJobScheduleCreateOptions(a["body"])),
            "schedule exists": lambda a: client.job_schedule_exists(a["schedule"]),
            "schedule get": lambda a: client.get_job_schedule(a["schedule"]),
            "schedule list": lambda a: list(client.list_job_schedules(**options(a))),
            "schedule jobs": lambda a: list(client.list_jobs_from_schedule(a["schedule"])),
            "schedule patch": lambda a: client.update_job_schedule(
                a["schedule"], m.BatchJobScheduleUpdateOptions(a["body"])
            ),
            "schedule disable": lambda a: client.disable_job_schedule(a["schedule"]),
            "schedule enable": lambda a: client.enable_job_schedule(a["schedule"]),
            "schedule terminate": lambda a: ended(client.begin_terminate_job_schedule(a["schedule"], **quick)),
            "schedule delete": lambda a: ended(client.begin_delete_job_schedule(a["schedule"], **quick)),
            "task add": lambda a: client.create_task(a["job"], m.BatchTaskCreateOptions(a["body"])),
            "task add collection": lambda a: list(
                client.create_tasks(a["job"], [m.BatchTaskCreateOptions(body) for body in a["body"]])
                .as_dict()
                .get("value", [])
            ),
            "task get": lambda a: client.get_task(a["job"], a["task"]),
            "task list": lambda a: list(client.list_tasks(a["job"], **options(a))),
            "task update": lambda a: client.replace_task(a["job"], a["task"], m.BatchTask(a["body"])),
            "task terminate": lambda a: client.terminate_task(a["job"], a["task"]),
            "task reactivate": lambda a: client.reactivate_task(a["job"], a["task"]),
            "task delete": lambda a: client.delete_task(a["job"], a["task"]),
            "task list subtasks": lambda a: list(client.list_subtasks(a["job"], a["task"])),
            "task file list": lambda a: list(
                client.list_task_files(a["job"], a["task"], recursive=a.get("recursive"), **options(a))
            ),
            "task file get": lambda a: b"".join(
                client.download_task_file(a["job"], a["task"], a["file"], ocp_range=a.get("range"))
            ).decode(),
            "task file properties": lambda a: {
                "contentLength": client.get_task_file_properties(a["job"], a["task"], a["file"]).content_length
            },
            "task file delete": lambda a: client.delete_task_file(a["job"], a["task"], a["file"]),
        }.items()
    }
)
