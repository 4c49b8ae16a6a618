"""One call a line: {"op": ..., "args": {...}} on stdin, its JSON or {"error": "409 JobExists"} on stdout."""

import json
import os
import sys


class Refused(Exception):
    """What Batch answered: `409 JobExists`."""


def serve(operations):
    out = os.fdopen(os.dup(1), "w")
    # What a client prints by itself must not get between the answers.
    sys.stdout = sys.stderr
    print(json.dumps({"ready": True}), file=out, flush=True)
    for line in sys.stdin:
        call = json.loads(line)
        try:
            result = operations[call["op"]](call["args"])
        except Refused as error:
            result = {"error": str(error)}
        except Exception as error:  # The test shows it.
            result = {"crash": f"{type(error).__name__}: {error}"[:2000]}
        print(json.dumps(result, default=str), file=out, flush=True)
    # Pollers in the background of azure-batch 15 would hold the process.
    os._exit(0)


def code_of(text):
    try:
        return json.loads(text)["code"]
    except Exception:
        return ""
