/** Hybrid search: several searches at one snapshot, their hits fused by rank, fields fetched for the fused page. */
import type { Metric } from "@elanus/model/catalog";
import type { Encoding, HybridSearch, Search, SearchResult } from "@elanus/model/contract/proxy";
import type { FieldId } from "@elanus/model/id";
import { fail, succeed, type Outcome } from "@elanus/model/outcome";
import type { Timestamp } from "@elanus/model/time";
import type { Clock } from "@elanus/platform/ports/world";
import { rankHits } from "@elanus/engine/hits";
import { attemptNow } from "@elanus/segment/native-engine";
import type { CatalogCache, KnownCollection } from "./catalog-cache.ts";
import type { ProxyEngine } from "./config.ts";
import type { ReadTask } from "./read.ts";
import type { PlannedSearch, SearchTask, SharedView } from "./search.ts";
import { groupScorer, groupShape, type GroupScorer } from "./state/group-shape.ts";
import { refuseFeatures } from "./state/flat-params.ts";
import { resolveOutput, type OutputColumns } from "./state/output-fields.ts";
import { loadedFields } from "./state/loaded-fields.ts";
import { rankShape, type RankShape } from "./state/rank-shape.ts";

const UNSUPPORTED = ["group_by_fields", "order_by_fields"];
const REQUESTS_MAX = 1_024;

export class HybridTask {
  readonly #clock: Clock;
  readonly #engine: ProxyEngine;
  readonly #cache: CatalogCache;
  readonly #reads: ReadTask;
  readonly #searches: SearchTask;

  constructor(engine: ProxyEngine, cache: CatalogCache, reads: ReadTask, searches: SearchTask, clock: Clock) {
    this.#clock = clock;
    this.#engine = engine;
    this.#cache = cache;
    this.#reads = reads;
    this.#searches = searches;
  }

  async search(request: HybridSearch, encoding: Encoding, deadlineMs: number): Promise<Outcome<SearchResult>> {
    const found = await this.#cache.collection(request);
    if (!found.ok) return found;
    const collection = found.value;
    const supported = refuseFeatures(request.rankParams, UNSUPPORTED, "HybridSearch");
    if (!supported.ok) return supported;
    if (request.requests.length === 0 || request.requests.length > REQUESTS_MAX) {
      return fail({
        kind: "invalidParameter",
        message: `maximum number of ann search requests is ${REQUESTS_MAX}, got ${request.requests.length}`,
      });
    }
    const begunMs = this.#clock.nowMs();
    const shape = rankShape(request.rankParams, request.requests.length);
    if (!shape.ok) return shape;
    const grouping = groupingOf(request, collection, shape.value);
    if (!grouping.ok) return grouping;
    const output = resolveOutput(
      collection.schema,
      request.outputFields,
      "ifAsked",
      loadedFields(collection.info.load),
    );
    if (!output.ok) return output;
    if (collection.info.load.kind === "released") {
      return fail({ kind: "collectionNotLoaded", collection: request.name });
    }
    const snapshot = await this.#reads.snapshot(collection, { consistency: request.consistency, deadlineMs });
    if (!snapshot.ok) return snapshot;
    const pin = output.value.fields.length > 0 ? this.#reads.newPin() : undefined;
    try {
      const view = { snapshot: snapshot.value, pin };
      const planned = await this.#plan(collection, request, { shape: shape.value, deadlineMs, view });
      if (!planned.ok) return planned;
      const how = { shape: shape.value, grouping: grouping.value, output: output.value, encoding, begunMs };
      return await this.#execute(planned.value, how);
    } finally {
      this.#reads.release(collection, pin);
    }
  }

  /** All searches read at one snapshot and keep their views under one pin. */
  async #plan(
    collection: KnownCollection,
    request: HybridSearch,
    how: {
      readonly shape: RankShape;
      readonly deadlineMs: number;
      readonly view: SharedView;
    },
  ): Promise<Outcome<readonly PlannedSearch[]>> {
    const planned: PlannedSearch[] = [];
    for (const sub of request.requests) {
      const search = await this.#searches.plan(collection, subRequest(request, sub, how.shape), how.deadlineMs, how);
      if (!search.ok) return search;
      planned.push(search.value);
    }
    const [first] = planned;
    const other = planned.find((search) => search.plan.nq !== first?.plan.nq);
    if (first === undefined || other === undefined) return succeed(planned);
    return fail({
      kind: "invalidParameter",
      message: "sub search request nq should be the same",
      expected: String(first.plan.nq),
      actual: String(other.plan.nq),
    });
  }

  async #execute(
    planned: readonly PlannedSearch[],
    how: {
      readonly shape: RankShape;
      readonly grouping: HybridGrouping | undefined;
      readonly output: OutputColumns;
      readonly encoding: Encoding;
      readonly begunMs: number;
    },
  ): Promise<Outcome<SearchResult>> {
    const { shape, grouping, output } = how;
    const plannedMs = this.#clock.nowMs();
    const answers = await Promise.all(planned.map((search) => this.#searches.hits(search)));
    const parts: Uint8Array[] = [];
    for (const [at, answer] of answers.entries()) {
      if (!answer.ok) return answer;
      const sub = planned[at]?.shape;
      // Groups are cut after the fusion.
      const { hits } = answer.value;
      const cut =
        grouping === undefined
          ? attemptNow(() => this.#engine.addon.sliceHits(hits, sub?.offset ?? 0, sub?.limit ?? 0))
          : succeed(hits);
      if (!cut.ok) return cut;
      parts.push(cut.value);
    }
    const metrics = planned.map((search) => search.target.metric);
    const topK = shape.offset + shape.limit;
    const { field: groupField, ...groups } = grouping ?? { field: undefined };
    const rank = { ...shape.rank, metrics, topK, ...("size" in groups ? { grouping: groups } : {}) };
    const fused = rankHits(this.#engine.addon, parts, rank);
    if (!fused.ok) return fused;
    const page =
      grouping === undefined
        ? attemptNow(() => this.#engine.addon.sliceHits(fused.value, shape.offset, shape.limit))
        : fused;
    if (!page.ok) return page;
    const searchedMs = this.#clock.nowMs();
    const [first] = planned;
    if (first === undefined) return fail({ kind: "internal", message: "a hybrid search without searches" });
    const rows = await this.#searches.rows(first.reading, page.value, output);
    if (!rows.ok) return rows;
    const metric: Metric = first.target.metric;
    const body = this.#searches.encode(first.collection, {
      hits: page.value,
      rows: rows.value,
      output,
      encoding: how.encoding,
      metric: "IP",
      roundDecimal: shape.roundDecimal,
      topK: shape.limit,
      groupField,
    });
    if (!body.ok) return body;
    const result = {
      body: body.value,
      collection: first.collection.info,
      metric,
      sessionTimestamp: 0n as Timestamp,
    };
    const reports = answers.flatMap((answer) => (answer.ok ? (answer.value.report ?? []) : []));
    if (reports.length === 0) return succeed(result);
    const times = { begunMs: how.begunMs, plannedMs, searchedMs };
    return succeed({ ...result, report: this.#searches.report(reports, times) });
  }
}

/** Which groups of the fused hits are answered. */
interface HybridGrouping {
  readonly field: FieldId;
  readonly offset: number;
  readonly limit: number;
  readonly size: number;
  readonly scorer: GroupScorer;
}

function groupingOf(
  request: HybridSearch,
  collection: KnownCollection,
  shape: RankShape,
): Outcome<HybridGrouping | undefined> {
  // The inner JSON of rank parameters is the ranker's.
  const params = new Map(request.rankParams);
  params.delete("params");
  const groupBy = groupShape(params, collection.schema);
  if (!groupBy.ok || groupBy.value === undefined) return groupBy.ok ? succeed(undefined) : groupBy;
  const scorer = groupScorer(params);
  if (!scorer.ok) return scorer;
  const { field, size } = groupBy.value;
  return succeed({ field, size, offset: shape.offset, limit: shape.limit, scorer: scorer.value });
}

/** Parameters of the outer request that every search of it follows. */
const OUTER_KEYS = ["group_by_field", "group_size", "strict_group_size", "explain"];

/** Output fields, partitions and consistency come from the outer request. */
function subRequest(outer: HybridSearch, sub: Search, shape: RankShape): Search {
  const params = new Map(sub.params);
  if ((params.get("topk") ?? "") === "") params.set("topk", String(shape.offset + shape.limit));
  for (const key of OUTER_KEYS) {
    const value = outer.rankParams.get(key);
    if (value !== undefined) params.set(key, value);
  }
  return {
    ...sub,
    params,
    database: outer.database,
    name: outer.name,
    partitions: outer.partitions,
    consistency: outer.consistency,
    outputFields: [],
  };
}
