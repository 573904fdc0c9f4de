/** Hybrid search: several searches at one snapshot, their hits fused by rank, fields fetched for the fused page. */
import type { Metric } from "@elanus/model/catalog";
import type { Encoding, HybridSearch, Search, SearchResult } from "@elanus/model/contract/proxy";
import { fail, succeed, type Outcome } from "@elanus/model/outcome";
import type { Timestamp } from "@elanus/model/time";
import { rankHits } from "@elanus/engine/hits";
import { attemptNow, type NativeEngine } from "@elanus/segment/native-engine";
import type { CatalogCache, KnownCollection } from "./catalog-cache.ts";
import type { ReadTask } from "./read.ts";
import type { PlannedSearch, SearchTask, SharedView } from "./search.ts";
import { refuseFeatures } from "./state/flat-params.ts";
import { resolveOutput, type OutputColumns } from "./state/output-fields.ts";
import { rankShape, type RankShape } from "./state/rank-shape.ts";

const UNSUPPORTED = ["group_by_field", "group_by_fields", "order_by_fields"];
const REQUESTS_MAX = 1_024;

export class HybridTask {
  readonly #engine: NativeEngine;
  readonly #cache: CatalogCache;
  readonly #reads: ReadTask;
  readonly #searches: SearchTask;

  constructor(engine: NativeEngine, cache: CatalogCache, reads: ReadTask, searches: SearchTask) {
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
    const shape = rankShape(request.rankParams, request.requests.length);
    if (!shape.ok) return shape;
    const output = resolveOutput(collection.schema, request.outputFields, "ifAsked");
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
      return await this.#execute(planned.value, { shape: shape.value, output: output.value, encoding });
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
      const search = await this.#searches.plan(
        collection,
        subRequest(request, sub, how.shape),
        how.deadlineMs,
        how.view,
      );
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
      readonly output: OutputColumns;
      readonly encoding: Encoding;
    },
  ): Promise<Outcome<SearchResult>> {
    const { shape, output } = how;
    const answers = await Promise.all(planned.map((search) => this.#searches.hits(search)));
    const parts: Uint8Array[] = [];
    for (const [at, answer] of answers.entries()) {
      if (!answer.ok) return answer;
      const sub = planned[at]?.shape;
      const cut = attemptNow(() => this.#engine.addon.sliceHits(answer.value.hits, sub?.offset ?? 0, sub?.limit ?? 0));
      if (!cut.ok) return cut;
      parts.push(cut.value);
    }
    const metrics = planned.map((search) => search.target.metric);
    const fused = rankHits(this.#engine.addon, parts, { ...shape.rank, metrics, topK: shape.offset + shape.limit });
    if (!fused.ok) return fused;
    const page = attemptNow(() => this.#engine.addon.sliceHits(fused.value, shape.offset, shape.limit));
    if (!page.ok) return page;
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
    });
    if (!body.ok) return body;
    return succeed({ body: body.value, collection: first.collection.info, metric, sessionTimestamp: 0n as Timestamp });
  }
}

/** Output fields, partitions and consistency come from the outer request. */
function subRequest(outer: HybridSearch, sub: Search, shape: RankShape): Search {
  const params = new Map(sub.params);
  if ((params.get("topk") ?? "") === "") params.set("topk", String(shape.offset + shape.limit));
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
