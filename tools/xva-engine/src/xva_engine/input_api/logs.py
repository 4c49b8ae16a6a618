"""One JSON object per line on stderr; stdout belongs to the ready line."""

import datetime
import json
import logging
from typing import TextIO


class JsonFormatter(logging.Formatter):
    """Time, level, message and whatever `extra={"fields": {…}}` holds."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        moment = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        entry: dict[str, object] = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "name": "input-api",
            "msg": record.getMessage(),
        }
        fields = getattr(record, "fields", None)
        if isinstance(fields, dict):
            entry |= fields
        if record.exc_info:
            entry["error"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False, default=str)


def logger_to(stream: TextIO) -> logging.Logger:
    """The API's logger, and uvicorn's warnings with it, on a stream."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    uvicorn = logging.getLogger("uvicorn.error")
    uvicorn.handlers, uvicorn.propagate = [handler], False
    uvicorn.setLevel(logging.WARNING)
    logger = logging.getLogger("xva_engine.input_api")
    logger.handlers, logger.propagate = [handler], False
    logger.setLevel(logging.INFO)
    return logger
