"""Deletes every blob under a prefix with the Python SDK's delete_blobs, 256 at a time; prints the milliseconds that took."""

import sys
import time

from azure.storage.blob import ContainerClient

connection, container, prefix = sys.argv[1:4]
client = ContainerClient.from_connection_string(connection, container)
started = time.perf_counter()
names = [blob.name for blob in client.list_blobs(name_starts_with=prefix)]
for start in range(0, len(names), 256):
    for answer in client.delete_blobs(*names[start : start + 256]):
        assert answer.status_code == 202, answer.status_code
print((time.perf_counter() - started) * 1000)
