/** Reads over a set of segments: one native call each, and the merge of partial hits. */
import type { Native, NativeAnswerShape, NativeSearch, NativeSegment } from "@elanus/engine/addon";
import type { Metric } from "@elanus/model/catalog";
import type { CountedRows, CountPlan, FoundHits, FoundRows } from "@elanus/model/contract/query-node";
import type { SegmentReport } from "@elanus/model/explain";
import type { FieldId } from "@elanus/model/id";
import { type Outcome, succeed } from "@elanus/model/outcome";
import type { AnswerShape, QueryPlan, SearchPlan } from "@elanus/model/plan";
import type { Timestamp } from "@elanus/model/time";
import { attempt, attemptNow, compileSchema, type NativeEngine } from "./native-engine.ts";

/** The segments one read looks at, and the moment it sees. */
export interface SegmentScope {
  readonly segments: readonly NativeSegment[];
  readonly snapshot: Timestamp;
}

export async function searchSegments(
  engine: NativeEngine,
  scope: SegmentScope,
  plan: SearchPlan,
): Promise<Outcome<FoundHits>> {
  const request: NativeSearch = {
    segments: scope.segments,
    snapshot: scope.snapshot,
    field: plan.field,
    metric: plan.metric,
    placeholders: plan.placeholders,
    topK: plan.topK,
    filter: plan.filter,
    params: plan.params,
    radius: plan.radius,
    rangeFilter: plan.rangeFilter,
    afterScore: plan.afterScore,
    groupBy: plan.groupBy,
    filterLate: plan.filterLate,
    exact: plan.exact,
    expired: plan.expired,
  };
  if (plan.explain === true) return explained(() => engine.addon.explainSearch(engine.pool, request));
  const { answer, deliverTo, alone = false } = plan;
  if (answer !== undefined && deliverTo !== undefined) {
    const taken = attemptNow(() =>
      engine.addon.deliverSearch(engine.pool, request, compiledShape(engine, answer), deliverTo),
    );
    return taken.ok ? succeed({ hits: noHits, delivered: true }) : taken;
  }
  if (answer !== undefined) {
    const { addon, pool } = engine;
    const done = await attempt(() => addon.answerSearch(pool, request, compiledShape(engine, answer), alone));
    return done.ok ? succeed({ hits: noHits, answer: done.value }) : done;
  }
  const found = await attempt(() => engine.addon.search(engine.pool, request));
  return found.ok ? succeed({ hits: found.value }) : found;
}

const noHits = new Uint8Array(0);
/** Clients repeat themselves, and the proxy then gives the same shape. */
const compiledShapes = new WeakMap<AnswerShape, NativeAnswerShape>();

function compiledShape(engine: NativeEngine, shape: AnswerShape): NativeAnswerShape {
  const known = compiledShapes.get(shape);
  if (known !== undefined) return known;
  const { offset, limit, encoding } = shape;
  const options = { ...shape, int64AsText: encoding === "jsonText" };
  const schema = compileSchema(engine, shape.schema);
  const compiled = new engine.addon.AnswerShape(schema, offset, limit, encoding !== "message", options);
  compiledShapes.set(shape, compiled);
  return compiled;
}

export async function querySegments(
  engine: NativeEngine,
  scope: SegmentScope,
  plan: QueryPlan,
  bytesMax: number,
): Promise<Outcome<FoundRows>> {
  const { filter, limit, fields, expired, explain } = plan;
  const request = {
    ...scope,
    fields,
    bytesMax,
    ...(filter === undefined ? {} : { filter }),
    ...(limit === undefined ? {} : { limit }),
    ...(expired === undefined ? {} : { expired }),
  };
  if (explain === true) return explained(() => engine.addon.explainQuery(engine.pool, request));
  const found = await attempt(() => engine.addon.query(engine.pool, request));
  return found.ok ? succeed({ rows: found.value }) : found;
}

export async function countSegments(
  engine: NativeEngine,
  scope: SegmentScope,
  { filter, expired, explain }: CountPlan,
): Promise<Outcome<CountedRows>> {
  const request = {
    ...scope,
    ...(filter === undefined ? {} : { filter }),
    ...(expired === undefined ? {} : { expired }),
  };
  if (explain === true) return explained(() => engine.addon.explainCount(engine.pool, request));
  const counted = await attempt(() => engine.addon.count(engine.pool, request));
  return counted.ok ? succeed({ count: counted.value }) : counted;
}

/** What a call found, with its account of the segments read. */
async function explained<T extends { readonly report: string }>(
  call: () => Native<T>,
): Promise<Outcome<Omit<T, "report"> & { readonly reports: readonly SegmentReport[] }>> {
  const answer = await attempt(call);
  if (!answer.ok) return answer;
  const { report, ...found } = answer.value;
  return succeed({ ...found, reports: JSON.parse(report) as readonly SegmentReport[] });
}

/** Fields of those hits that lie in `segments`. */
export function retrieveHits(
  engine: NativeEngine,
  segments: readonly NativeSegment[],
  hits: Uint8Array,
  fields: readonly FieldId[],
): Promise<Outcome<Uint8Array>> {
  return attempt(() => engine.addon.retrieve(engine.pool, segments, hits, fields));
}

/** Best `topK` per query of hits over disjoint rows. */
export function reduceHits(
  engine: NativeEngine,
  parts: readonly Uint8Array[],
  topK: number,
  metric: Metric,
): Outcome<Uint8Array> {
  const only = parts.length === 1 ? parts[0] : undefined;
  return only === undefined
    ? attemptNow(() => engine.addon.reduceHits(parts, topK, metric))
    : { ok: true, value: only };
}
