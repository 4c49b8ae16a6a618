"""The scenario's operations with azure-batch 14: drive14.py ENDPOINT ACCOUNT KEY."""

import sys

from azure.batch import BatchServiceClient, batch_auth, models
from azure.batch.custom.custom_errors import CreateTasksErrorException
from wire import Refused, code_of, serve

endpoint, account, key = sys.argv[1:]
client = BatchServiceClient(batch_auth.SharedKeyCredentials(account, key), batch_url=endpoint)
# Its own retries off: one request is one request.
client.config.retry_policy.retries = 0


def plain(result):
    if isinstance(result, list):
        return [plain(item) for item in result]
    return result.serialize(keep_readonly=True) if hasattr(result, "serialize") else result


def call(act):
    def run(args):
        try:
            return plain(act(args))
        except models.BatchErrorException as error:
            code = error.error.code if error.error is not None else code_of(error.response.text)
            raise Refused(f"{error.response.status_code} {code or ''}".strip()) from None
        except CreateTasksErrorException as error:
            raise Refused(f"failed: {', '.join(task.task_id for task in error.failure_tasks)}") from None

    return run


def options(kind, args, **more):
    names = {"filter": "filter", "select": "select", "pageSize": "max_results"}
    return kind(**{name: args[arg] for arg, name in names.items() if arg in args}, **more)


def text(chunks):
    return b"".join(chunks).decode()


def properties(a):
    raw = client.file.get_properties_from_task(a["job"], a["task"], a["file"], raw=True)
    return {"contentLength": raw.headers.get("Content-Length")}


pool, job, task, file, node = client.pool, client.job, client.task, client.file, client.compute_node
schedule = client.job_schedule
m = models
serve(
    {
        name: call(act)
        for name, act in {
            "pool add": lambda a: pool.add(m.PoolAddParameter.from_dict(a["body"])),
            "pool exists": lambda a: pool.exists(a["pool"]),
            "pool get": lambda a: pool.get(a["pool"]),
            "pool list": lambda a: list(pool.list(options(m.PoolListOptions, a))),
            "pool patch": lambda a: pool.patch(a["pool"], m.PoolPatchParameter.from_dict(a["body"])),
            "pool resize": lambda a: pool.resize(a["pool"], m.PoolResizeParameter.from_dict(a["body"])),
            "pool stop resize": lambda a: pool.stop_resize(a["pool"]),
            "pool remove nodes": lambda a: pool.remove_nodes(a["pool"], m.NodeRemoveParameter.from_dict(a["body"])),
            "pool delete": lambda a: pool.delete(a["pool"]),
            "autoscale enable": lambda a: pool.enable_auto_scale(a["pool"], a["formula"], a["interval"]),
            "autoscale disable": lambda a: pool.disable_auto_scale(a["pool"]),
            "autoscale evaluate": lambda a: pool.evaluate_auto_scale(a["pool"], a["formula"]),
            "supported images": lambda a: list(
                client.account.list_supported_images(options(m.AccountListSupportedImagesOptions, a))
            ),
            "node list": lambda a: list(node.list(a["pool"])),
            "node get": lambda a: node.get(a["pool"], a["node"]),
            "node counts": lambda a: list(client.account.list_pool_node_counts()),
            "node disable scheduling": lambda a: node.disable_scheduling(a["pool"], a["node"]),
            "node enable scheduling": lambda a: node.enable_scheduling(a["pool"], a["node"]),
            "node reboot": lambda a: node.reboot(a["pool"], a["node"]),
            "node user add": lambda a: node.add_user(a["pool"], a["node"], m.ComputeNodeUser.from_dict(a["body"])),
            "node user update": lambda a: node.update_user(
                a["pool"], a["node"], a["user"], m.NodeUpdateUserParameter.from_dict(a["body"])
            ),
            "node user delete": lambda a: node.delete_user(a["pool"], a["node"], a["user"]),
            "node file list": lambda a: list(
                file.list_from_compute_node(
                    a["pool"], a["node"], None, options(m.FileListFromComputeNodeOptions, a)
                )
            ),
            "job add": lambda a: job.add(m.JobAddParameter.from_dict(a["body"])),
            "job get": lambda a: job.get(a["job"]),
            "job list": lambda a: list(job.list(options(m.JobListOptions, a))),
            "job patch": lambda a: job.patch(
                a["job"], m.JobPatchParameter.from_dict(a["body"]), m.JobPatchOptions(if_match=a.get("ifMatch"))
            ),
            "job update": lambda a: job.update(a["job"], m.JobUpdateParameter.from_dict(a["body"])),
            "job disable": lambda a: job.disable(a["job"], a["disableTasks"]),
            "job enable": lambda a: job.enable(a["job"]),
            "job terminate": lambda a: job.terminate(a["job"], a["reason"]),
            "job delete": lambda a: job.delete(a["job"]),
            "job task counts": lambda a: job.get_task_counts(a["job"]),
            "job preparation status": lambda a: list(job.list_preparation_and_release_task_status(a["job"])),
            "schedule add": lambda a: schedule.add(m.JobScheduleAddParameter.from_dict(a["body"])),
            "schedule exists": lambda a: schedule.exists(a["schedule"]),
            "schedule get": lambda a: schedule.get(a["schedule"]),
            "schedule list": lambda a: list(schedule.list(options(m.JobScheduleListOptions, a))),
            "schedule jobs": lambda a: list(job.list_from_job_schedule(a["schedule"])),
            "schedule patch": lambda a: schedule.patch(
                a["schedule"], m.JobSchedulePatchParameter.from_dict(a["body"])
            ),
            "schedule disable": lambda a: schedule.disable(a["schedule"]),
            "schedule enable": lambda a: schedule.enable(a["schedule"]),
            "schedule terminate": lambda a: schedule.terminate(a["schedule"]),
            "schedule delete": lambda a: schedule.delete(a["schedule"]),
            "task add": lambda a: task.add(a["job"], m.TaskAddParameter.from_dict(a["body"])),
            "task add collection": lambda a: task.add_collection(
                a["job"], [m.TaskAddParameter.from_dict(body) for body in a["body"]]
            ).value,
            "task get": lambda a: task.get(a["job"], a["task"]),
            "task list": lambda a: list(task.list(a["job"], options(m.TaskListOptions, a))),
            "task update": lambda a: task.update(
                a["job"], a["task"], m.TaskConstraints.from_dict(a["body"]["constraints"])
            ),
            "task terminate": lambda a: task.terminate(a["job"], a["task"]),
            "task reactivate": lambda a: task.reactivate(a["job"], a["task"]),
            "task delete": lambda a: task.delete(a["job"], a["task"]),
            "task list subtasks": lambda a: task.list_subtasks(a["job"], a["task"]).value,
            "task file list": lambda a: list(
                file.list_from_task(a["job"], a["task"], a.get("recursive"), options(m.FileListFromTaskOptions, a))
            ),
            "task file get": lambda a: text(
                file.get_from_task(
                    a["job"], a["task"], a["file"], m.FileGetFromTaskOptions(ocp_range=a.get("range"))
                )
            ),
            "task file properties": properties,
            "task file delete": lambda a: file.delete_from_task(a["job"], a["task"], a["file"]),
        }.items()
    }
)
