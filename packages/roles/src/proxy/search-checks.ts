/** What a search asks, checked against its collection. Clients repeat themselves, so what passed is remembered. */
import type { Metric } from "@elanus/model/catalog";
import type { Encoding, Search } from "@elanus/model/contract/proxy";
import { fail, succeed, type Outcome } from "@elanus/model/outcome";
import type { AnswerShape, GroupBy } from "@elanus/model/plan";
import type { CheckedFilter } from "@elanus/query/filter/parse-filter";
import type { KnownCollection } from "./catalog-cache.ts";
import { checkedFilter } from "./read.ts";
import { refuse, refuseFeatures } from "./state/flat-params.ts";
import { groupShape } from "./state/group-shape.ts";
import { isFieldLoaded, loadedFields, requireLoaded } from "./state/loaded-fields.ts";
import { resolveOutput, type OutputColumns } from "./state/output-fields.ts";
import { searchShape, type SearchShape } from "./state/search-shape.ts";
import { searchTarget, type SearchTarget } from "./state/search-target.ts";

export interface CheckedSearch {
  readonly target: SearchTarget;
  readonly shape: SearchShape;
  readonly groupBy: GroupBy | undefined;
  readonly filter: CheckedFilter;
  readonly output: OutputColumns;
  /** What a node that holds everything can answer itself; undefined where hits need more than a cut. */
  readonly answers: Readonly<Record<Encoding, AnswerShape>> | undefined;
}

const UNSUPPORTED = ["group_by_fields", "order_by_fields", "json_path", "analyzer_name", "time_fields"];
/** Per collection; they are forgotten together when there are more. */
const REMEMBERED_MAX = 256;
/** Longer ones are rarely asked twice and would hold much memory. */
const REMEMBERED_LENGTH_MAX = 2_048;

export class SearchChecks {
  /** A collection that changes is another `KnownCollection`. */
  readonly #remembered = new WeakMap<KnownCollection, Map<string, CheckedSearch>>();

  check(collection: KnownCollection, request: Search): Outcome<CheckedSearch> {
    const key = keyOf(request);
    if (key === undefined) return checkSearch(collection, request);
    const own = this.#remembered.get(collection) ?? new Map<string, CheckedSearch>();
    const known = own.get(key);
    if (known !== undefined) return succeed(known);
    const checked = checkSearch(collection, request);
    if (!checked.ok) return checked;
    if (own.size >= REMEMBERED_MAX) own.clear();
    own.set(key, checked.value);
    this.#remembered.set(collection, own);
    return checked;
  }
}

/** Everything that `checkSearch` looks at; undefined for what hardly comes again. */
function keyOf({ filter, outputFields, params }: Search): string | undefined {
  if (filter.templates.size > 0 || params.has("iterator")) return undefined;
  let key = `${filter.text.length} ${filter.text}${outputFields.length}`;
  for (const name of outputFields) key += ` ${name.length} ${name}`;
  for (const [name, value] of params) key += ` ${name.length} ${name} ${value.length} ${value}`;
  return key.length > REMEMBERED_LENGTH_MAX ? undefined : key;
}

function checkSearch(collection: KnownCollection, request: Search): Outcome<CheckedSearch> {
  const { info, schema } = collection;
  const { params } = request;
  const supported = refuseFeatures(params, UNSUPPORTED, "Search");
  if (!supported.ok) return supported;
  if (info.load.kind === "released") return fail({ kind: "collectionNotLoaded", collection: request.name });
  const target = searchTarget(info, params);
  if (!target.ok) return target;
  const loaded = loadedFields(info.load);
  const { field, index, metric } = target.value;
  if (!isFieldLoaded(field, loaded)) return refuse(`ann field ${field.name} not loaded`);
  const shape = searchShape({ params, collection: info.id, index, metric });
  if (!shape.ok) return shape;
  const groupBy = groupShape(params, schema, field);
  if (!groupBy.ok) return groupBy;
  const groupField = schema.fields.find((candidate) => candidate.id === groupBy.value?.field);
  const groupable = groupField === undefined ? succeed(undefined) : requireLoaded(groupField, loaded);
  if (!groupable.ok) return groupable;
  const filter = checkedFilter(request.filter, collection, "query");
  if (!filter.ok) return filter;
  const output = resolveOutput(schema, request.outputFields, "ifAsked", loaded);
  if (!output.ok) return output;
  const plain = groupBy.value === undefined && shape.value.iterator === undefined && !shape.value.explain;
  return succeed({
    target: target.value,
    shape: shape.value,
    groupBy: groupBy.value,
    filter: filter.value,
    output: output.value,
    answers: plain ? answersOf(collection, shape.value, output.value, metric) : undefined,
  });
}

function answersOf(
  { schema }: KnownCollection,
  { offset, limit, roundDecimal, rangeHitsMax }: SearchShape,
  { fields, outputFields, dynamicKeys }: OutputColumns,
  metric: Metric,
): Readonly<Record<Encoding, AnswerShape>> {
  const topK = Math.min(limit, rangeHitsMax ?? limit);
  const shape = { schema, metric, offset, limit, topK, fields, outputFields, dynamicKeys, roundDecimal };
  return {
    message: { ...shape, encoding: "message" },
    json: { ...shape, encoding: "json" },
    jsonText: { ...shape, encoding: "jsonText" },
  };
}
