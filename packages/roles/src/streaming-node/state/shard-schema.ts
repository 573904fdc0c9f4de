/** The schema as a shard's first log record carries it. */
import { type CollectionSchema, DataType, type FieldSchema } from "@elanus/model/schema";

const INTEGER_TYPES: readonly DataType[] = [DataType.int8, DataType.int16, DataType.int32, DataType.int64];

/** Reads what `encodeSchema` wrote; undefined when the text is something else. */
export function decodeShardSchema(text: string): CollectionSchema | undefined {
  try {
    const value = JSON.parse(text) as CollectionSchema;
    if (typeof value.name !== "string" || !Array.isArray(value.fields)) return undefined;
    return { ...value, fields: value.fields.map(withTypedDefault) };
  } catch {
    return undefined;
  }
}

/** JSON has no 64-bit integers, so integer defaults travel as text. */
function withTypedDefault(field: FieldSchema): FieldSchema {
  const { defaultValue } = field;
  if (typeof defaultValue !== "string" || !INTEGER_TYPES.includes(field.type)) return field;
  return { ...field, defaultValue: BigInt(defaultValue) };
}
