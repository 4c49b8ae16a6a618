"""Errors as problem details (RFC 9457)."""

from collections.abc import Sequence

from fastapi import Response

from xva_engine.contracts import Problem, ProblemError
from xva_engine.generate.defects import Defect

MEDIA_TYPE = "application/problem+json"


class ApiError(Exception):
    """Thrown by a route; becomes a problem."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        retry_after_seconds: int | None = None,
        defects: Sequence[Defect] = (),
    ) -> None:
        super().__init__(detail)
        self.defects = defects
        self.status = status
        self.code = code
        self.detail = detail
        self.retry_after_seconds = retry_after_seconds


_TITLES = {
    400: "The request is not understood",
    401: "The API key is missing or wrong",
    404: "There is no such thing",
    405: "The method is not allowed here",
    408: "The request came too slowly",
    409: "It is there already",
    413: "The request is too big",
    415: "The encoding is not taken",
    422: "The content is not valid",
    500: "The input API failed",
    503: "The input API is busy",
    504: "The package took too long",
}


def problem_response(error: ApiError, request_id: str) -> Response:
    """The answer for an error."""
    errors = [ProblemError(subject=item.subject, code=item.code, message=item.sentence) for item in error.defects]
    problem = Problem(
        type=f"urn:xva-lab:problem:{error.code}",
        title=_TITLES.get(error.status, "The request failed"),
        status=error.status,
        code=error.code,
        detail=error.detail,
        request_id=request_id,
    )
    if errors:
        problem = problem.model_copy(update={"errors": errors})
    headers = {} if error.retry_after_seconds is None else {"retry-after": str(error.retry_after_seconds)}
    content = problem.model_dump_json(by_alias=True, exclude_unset=True)
    return Response(content, error.status, headers, MEDIA_TYPE)
