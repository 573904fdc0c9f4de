/** Rows of writes: checked, made columns and routed by native code. */
import type { RowsInput } from "@elanus/model/contract/proxy";
import type { Outcome } from "@elanus/model/outcome";
import { type CollectionSchema, encodeSchema } from "@elanus/model/schema";
import type { Addon, NativeRows, NativeSchema, WriteOptions } from "./addon.ts";
import { attemptNow } from "./native-error.ts";

/** Compiles a schema once; it is used by every later call for the collection. */
export function compileSchema(addon: Addon, schema: CollectionSchema): NativeSchema {
  return new addon.Schema(encodeSchema(schema));
}

/** Checks the rows of a write, in Milvus's words where they are wrong. */
export function readRows(
  addon: Addon,
  schema: NativeSchema,
  input: RowsInput,
  options: WriteOptions,
): Outcome<NativeRows> {
  return attemptNow(() =>
    input.kind === "json"
      ? addon.Rows.fromJson(schema, input.rows, options)
      : addon.Rows.fromFieldData(schema, input.fields, input.rowCount, options),
  );
}

/** Rows that a log or another role holds. */
export function decodeRows(addon: Addon, schema: NativeSchema, bytes: Uint8Array): Outcome<NativeRows> {
  return attemptNow(() => addon.Rows.decode(schema, bytes));
}

/** The vectors of a search as a message, whatever form they came in; and how many they are. */
export function readPlaceholders(
  addon: Addon,
  schema: NativeSchema,
  field: number,
  input:
    | { readonly kind: "message"; readonly bytes: Uint8Array }
    | { readonly kind: "json"; readonly vectors: Uint8Array },
): Outcome<{ readonly message: Uint8Array; readonly nq: number }> {
  return attemptNow(() => {
    const message = input.kind === "json" ? addon.placeholdersFromJson(schema, field, input.vectors) : input.bytes;
    return { message, nq: addon.checkPlaceholders(schema, field, message) };
  });
}

/** Keys by the shard they live in; undefined where a shard has none. */
export function routeKeys(addon: Addon, keys: Uint8Array, shardCount: number): readonly (Uint8Array | undefined)[] {
  return addon.routeKeys(keys, shardCount);
}
