/** How a search groups its hits, from its flat parameters (contract/grpc.md 6.2, contract/expressions.md 20.3). */
import type { SearchParams } from "@elanus/model/contract/proxy";
import { fail, succeed, type Outcome } from "@elanus/model/outcome";
import type { GroupBy } from "@elanus/model/plan";
import { type CollectionSchema, DataType, type FieldSchema } from "@elanus/model/schema";
import { innerParams, isTrue, refuse, textParam } from "./flat-params.ts";

const SIZE_MAX = 10;
const NAME_OF_TYPE: ReadonlyMap<DataType, string> = new Map(
  Object.entries(DataType).map(([name, type]) => [type, name.charAt(0).toUpperCase() + name.slice(1)]),
);
const TYPES: readonly DataType[] = [
  DataType.bool,
  DataType.int8,
  DataType.int16,
  DataType.int32,
  DataType.int64,
  DataType.varChar,
];
const SCORERS = ["max", "sum", "avg"] as const;

export type GroupScorer = (typeof SCORERS)[number];

/** undefined: hits are not grouped. `vector`: the field that is searched. */
export function groupShape(
  params: SearchParams,
  schema: CollectionSchema,
  vector?: FieldSchema,
): Outcome<GroupBy | undefined> {
  const inner = innerParams(params, "search params");
  if (!inner.ok) return inner;
  const text = (key: string): string | undefined => {
    const nested = inner.value[key];
    return textParam(params, key) ?? (nested === undefined ? undefined : String(nested));
  };
  const name = text("group_by_field");
  if (name === undefined) return succeed(undefined);
  if (isTrue(params, "iterator")) return refuse("Not allowed to do groupBy when doing iteration");
  if (text("radius") !== undefined || text("range_filter") !== undefined) {
    return refuse("Not allowed to do range-search when doing search-group-by");
  }
  if (vector?.type === DataType.binaryVector) {
    return refuse("not support search_group_by operation based on binary vector column");
  }
  const field = schema.fields.find((candidate) => candidate.name === name);
  if (field === undefined) {
    return fail({ kind: "fieldNotFound", field: name, message: "groupBy field not found in schema" });
  }
  if (!TYPES.includes(field.type)) {
    return refuse(`unsupported data type ${NAME_OF_TYPE.get(field.type)} for group by operator`);
  }
  const size = Number(text("group_size") ?? 1);
  if (!Number.isInteger(size)) return refuse(`input group size:${text("group_size")} is no integer`);
  if (size < 1) return refuse(`input group size:${size} is negative, failed to do search_groupby`);
  if (size > SIZE_MAX) return refuse(`input group size:${size} exceeds configured max group size:${SIZE_MAX}`);
  const strict = ["1", "t", "true"].includes((text("strict_group_size") ?? "").toLowerCase());
  return succeed({ field: field.id, size, strict });
}

/** How a hybrid search scores a group. */
export function groupScorer(params: SearchParams): Outcome<GroupScorer> {
  const name = (textParam(params, "rank_group_scorer") ?? "max").toLowerCase();
  const scorer = SCORERS.find((known) => known === name);
  return scorer === undefined ? refuse(`input group scorer type: ${name} is not supported!`) : succeed(scorer);
}
