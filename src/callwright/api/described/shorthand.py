"""Short names for the JSON Schemas (draft 2020-12) that the descriptions are made of."""

from collections.abc import Mapping, Sequence

Schema = Mapping[str, object]

STRING: Schema = {"type": "string"}
INTEGER: Schema = {"type": "integer"}
NUMBER: Schema = {"type": "number"}
BOOLEAN: Schema = {"type": "boolean"}
UUID: Schema = {"type": "string", "format": "uuid"}
TIME: Schema = {"type": "string", "format": "date-time"}
MSISDN: Schema = {"type": "string", "pattern": r"^\+?[1-9][0-9]{6,14}$", "examples": ["+6512345678"]}


def text(least: int = 0, most: int | None = None, pattern: str | None = None) -> Schema:
    """A string of `least` to `most` characters."""
    limits = {"minLength": least or None, "maxLength": most, "pattern": pattern}
    return {"type": "string", **{name: limit for name, limit in limits.items() if limit is not None}}


def whole(least: int, most: int = 2**31 - 1) -> Schema:
    """An integer within limits, both included."""
    return {"type": "integer", "minimum": least, "maximum": most}


def one_of(*values: str) -> Schema:
    """One of some texts."""
    return {"type": "string", "enum": list(values)}


def maybe(schema: Schema) -> Schema:
    """The same, or null, which counts as not given."""
    if "enum" in schema or "anyOf" in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    return {**schema, "type": [schema["type"], "null"]}


def listing(items: Schema, least: int = 0, most: int | None = None) -> Schema:
    """An array."""
    limits = {"minItems": least or None, "maxItems": most}
    return {"type": "array", "items": items, **{name: limit for name, limit in limits.items() if limit is not None}}


def record(properties: Mapping[str, Schema], required: Sequence[str] | None = None) -> Schema:
    """An object; `required` are all of its properties unless it says which. Others may stand beside them."""
    needed = list(properties) if required is None else list(required)
    return {"type": "object", "properties": dict(properties), **({"required": needed} if needed else {})}


def ref(name: str) -> Schema:
    """A schema by its name."""
    return {"$ref": f"#/components/schemas/{name}"}
