"""What every contract model has in common."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer
from pydantic.alias_generators import to_camel

from xva_engine.contracts.canonical_json import canonical_json

SchemaVersion = Literal["1.0"]


class Contract(BaseModel):
    """A message whose law is the zod schema of the same name; unknown members are refused, members are camelCase."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        strict=True,
        frozen=True,
        allow_inf_nan=False,
    )

    def to_json(self) -> dict[str, object]:
        """The message as plain JSON values under its wire names."""
        return self.model_dump(mode="json", by_alias=True)

    def canonical_bytes(self) -> bytes:
        """The canonical form; raises NotCanonicalError for a message that holds fractions."""
        return canonical_json(self.to_json()).encode()


class OmitsEmpty(Contract):
    """A message whose optional lists are absent, not empty, when there is nothing in them."""

    @model_serializer(mode="wrap")
    def _write(self, write: SerializerFunctionWrapHandler) -> dict[str, object]:
        fields = type(self).model_fields.items()
        lists = [(name, field.alias) for name, field in fields if field.default_factory is list]
        optional = {word for words in lists for word in words}
        return {name: value for name, value in write(self).items() if value != [] or name not in optional}
