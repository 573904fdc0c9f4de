/** Filter text to a checked plan. Pure; parsed text is remembered, which changes nothing but the time it takes. */
import type { TemplateValue } from "@elanus/model/contract/proxy";
import type { DbError } from "@elanus/model/error";
import type { FieldId } from "@elanus/model/id";
import { fail, succeed } from "@elanus/model/outcome";
import type { Outcome } from "@elanus/model/outcome";
import { primaryKeyOf } from "@elanus/model/schema";
import type { CollectionSchema } from "@elanus/model/schema";
import { checkFilter } from "./check.ts";
import { encodeProgram } from "./encode.ts";
import { parseExpression } from "./parse.ts";
import { keysOf, valuesOf } from "./restrict.ts";
import type { KeyValue } from "./restrict.ts";
import { FilterRefusal } from "./syntax.ts";
import type { Expression } from "./syntax.ts";

export type CheckedFilter =
  /** Empty text. */
  | { readonly kind: "all" }
  | {
      readonly kind: "program";
      /** docs/formats/filter-program.md */
      readonly bytes: Uint8Array;
      /** The whole filter is `pk == x` or `pk in […]`: those keys, sorted and distinct. */
      readonly keys?: readonly KeyValue[];
      /** Rows with other partition keys cannot match. */
      readonly partitionKeys?: readonly KeyValue[];
      /** Every row matches, whatever it holds. */
      readonly alwaysTrue: boolean;
    };

/** `loaded`: the fields that the filter may name; absent: all. */
export function parseFilter(
  text: string,
  schema: CollectionSchema,
  templates: ReadonlyMap<string, TemplateValue>,
  loaded?: ReadonlySet<FieldId>,
): Outcome<CheckedFilter> {
  if (text.trim() === "") return succeed({ kind: "all" });
  try {
    const node = checkFilter(parseCached(text), { schema, loaded, templates, text });
    const partitionField = schema.fields.find((field) => field.partitionKey);
    const keys = keysOf(node, primaryKeyOf(schema));
    const partitionKeys = partitionField === undefined ? undefined : valuesOf(node, partitionField);
    return succeed({
      kind: "program",
      bytes: encodeProgram(node),
      ...(keys === undefined ? {} : { keys }),
      ...(partitionKeys === undefined ? {} : { partitionKeys }),
      alwaysTrue: node.kind === "constant" && node.value,
    });
  } catch (refusal) {
    if (refusal instanceof FilterRefusal) return fail(errorOf(refusal, text));
    throw refusal;
  }
}

/** Puts what was being done in front of a parameter error: `failed to create query plan: `. */
export function prefixError(error: DbError, prefix: string): DbError {
  return error.kind === "invalidParameter" || error.kind === "planFailed"
    ? { ...error, message: prefix + error.message }
    : error;
}

function errorOf(refusal: FilterRefusal, text: string): DbError {
  if (refusal.notImplemented !== undefined) {
    return { kind: "notImplemented", call: `${refusal.notImplemented} in a filter` };
  }
  const message = refusal.bare ? refusal.message : `cannot parse expression: ${text}, error: ${refusal.message}`;
  return { kind: "invalidParameter", message };
}

const CACHE_ENTRIES_MAX = 1024;
/** Longer texts are rarely asked twice and would hold much memory. */
const CACHED_TEXT_LENGTH_MAX = 16_384;
/** In the order of last use: the first is the next to go. */
const cache = new Map<string, Expression | FilterRefusal>();

function parseCached(text: string): Expression {
  const known = cache.get(text);
  if (known !== undefined) cache.delete(text);
  const parsed = known ?? attempt(text);
  if (text.length <= CACHED_TEXT_LENGTH_MAX) {
    cache.set(text, parsed);
    const [oldest] = cache.keys();
    if (cache.size > CACHE_ENTRIES_MAX && oldest !== undefined) cache.delete(oldest);
  }
  if (parsed instanceof FilterRefusal) throw parsed;
  return parsed;
}

function attempt(text: string): Expression | FilterRefusal {
  try {
    return parseExpression(text);
  } catch (refusal) {
    if (refusal instanceof FilterRefusal) return refusal;
    throw refusal;
  }
}
