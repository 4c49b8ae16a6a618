"""Adds the tasks of a JSON file to a job with azure-batch 15 and prints how long `create_tasks` took.

Usage: submit.py ENDPOINT ACCOUNT KEY JOB TASKS.json THREADS. The models are built before the clock starts.
"""

import json
import resource
import sys
import time

from azure.batch import BatchClient, models
from azure.core.credentials import AzureNamedKeyCredential

endpoint, account, key, job, file, threads = sys.argv[1:]
client = BatchClient(endpoint=endpoint, credential=AzureNamedKeyCredential(account, key))
with open(file, encoding="utf-8") as handle:
    tasks = [models.BatchTaskCreateOptions(task) for task in json.load(handle)]
# The connection is open before the clock starts, as it is for the other sides' second request.
next(iter(client.list_pools()), None)


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


cpu_before, started = cpu(), time.perf_counter()
client.create_tasks(job, tasks, max_concurrency=int(threads))
print(json.dumps({"seconds": time.perf_counter() - started, "cpuSeconds": cpu() - cpu_before}))
