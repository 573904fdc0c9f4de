/** Search: plan, ask the owners, reduce, cut the page, fetch the page's fields from the pinned views, encode. */
import type { Encoding, Search, SearchResult } from "@elanus/model/contract/proxy";
import { fail, succeed, type Outcome } from "@elanus/model/outcome";
import type { SearchPlan } from "@elanus/model/plan";
import type { Timestamp } from "@elanus/model/time";
import { encodeSearch, reduceHits } from "@elanus/engine/hits";
import { readPlaceholders } from "@elanus/engine/rows";
import { attemptNow, type NativeEngine } from "@elanus/segment/native-engine";
import type { CatalogCache, KnownCollection } from "./catalog-cache.ts";
import type { Reading, ReadTask } from "./read.ts";
import { isTrue, searchTarget, unsupported, type SearchTarget } from "./requests.ts";
import { iteratorSnapshot } from "./state/consistency.ts";
import { resolveOutput, type OutputColumns } from "./state/output-fields.ts";
import { searchShape, type SearchShape } from "./state/search-shape.ts";

export interface PlannedSearch {
  readonly collection: KnownCollection;
  readonly target: SearchTarget;
  readonly plan: SearchPlan;
  readonly shape: SearchShape;
  readonly reading: Reading;
  readonly output: OutputColumns;
}

const UNSUPPORTED = ["group_by_field", "group_by_fields", "order_by_fields", "json_path", "analyzer_name", "time_fields"];

export class SearchTask {
  readonly #engine: NativeEngine;
  readonly #cache: CatalogCache;
  readonly #reads: ReadTask;

  constructor(engine: NativeEngine, cache: CatalogCache, reads: ReadTask) {
    this.#engine = engine;
    this.#cache = cache;
    this.#reads = reads;
  }

  async search(request: Search, encoding: Encoding, deadlineMs: number): Promise<Outcome<SearchResult>> {
    const found = await this.#cache.collection(request);
    if (!found.ok) return found;
    const planned = await this.plan(found.value, request, deadlineMs);
    if (!planned.ok) return planned;
    try {
      return await this.#execute(planned.value, encoding);
    } finally {
      this.#reads.release(planned.value.reading);
    }
  }

  /** Checks the request and fixes its view. */
  async plan(collection: KnownCollection, request: Search, deadlineMs: number): Promise<Outcome<PlannedSearch>> {
    const supported = unsupported(request.params, UNSUPPORTED, "Search");
    if (!supported.ok) return supported;
    const shape = searchShape(request.params, collection.info.id);
    if (!shape.ok) return shape;
    if (collection.info.load.kind === "released") {
      return fail({ kind: "collectionNotLoaded", collection: request.name });
    }
    const target = searchTarget(collection.info, request.params);
    if (!target.ok) return target;
    const filter = this.#reads.filter(request.filter, collection.schema, "query");
    if (!filter.ok) return filter;
    const output = resolveOutput(collection.schema, request.outputFields, "ifAsked");
    if (!output.ok) return output;
    const query = this.#placeholders(collection, target.value, request);
    if (!query.ok) return query;
    const plan: SearchPlan = {
      field: target.value.field.id,
      metric: target.value.metric,
      placeholders: query.value.bytes,
      nq: query.value.nq,
      topK: shape.value.offset + shape.value.limit,
      params: shape.value.indexParams,
      ...(filter.value.kind === "program" ? { filter: filter.value.bytes } : {}),
      ...shape.value.bounds,
    };
    const reading = await this.#reads.begin(collection, {
      partitions: request.partitions,
      filter: filter.value,
      consistency: request.consistency,
      ignoreGrowing: isTrue(request.params, "ignore_growing"),
      snapshot: shape.value.iterator === undefined ? undefined : iteratorSnapshot(request.consistency.guarantee),
      pinned: output.value.fields.length > 0,
      deadlineMs,
    });
    if (!reading.ok) return reading;
    return succeed({
      collection, target: target.value, plan, shape: shape.value, reading: reading.value, output: output.value,
    });
  }

  /** Hits of every owner, reduced; at most `topK` per query. */
  async hits(planned: PlannedSearch): Promise<Outcome<{ hits: Uint8Array; snapshot: Timestamp }>> {
    const { plan, reading, target } = planned;
    const answers = await this.#reads.ask(reading, (node, scope) => node.search(scope, plan));
    if (!answers.ok) return answers;
    const [first] = answers.value;
    if (first === undefined) return fail({ kind: "internal", message: "a collection without shards" });
    if (answers.value.length === 1) return succeed(first);
    const parts = answers.value.map((answer) => answer.hits);
    const reduced = reduceHits(this.#engine.addon, parts, plan.topK, target.metric);
    return reduced.ok ? succeed({ hits: reduced.value, snapshot: first.snapshot }) : reduced;
  }

  /** Output fields of hits, from the views that found them. */
  async rows(reading: Reading, hits: Uint8Array, output: OutputColumns): Promise<Outcome<readonly Uint8Array[]>> {
    const { pin } = reading;
    if (pin === undefined || output.fields.length === 0) return succeed([]);
    const parts = await this.#reads.ask(reading, (node) => node.retrieve(pin, hits, output.fields));
    return parts.ok ? succeed(parts.value.flat()) : parts;
  }

  async #execute(planned: PlannedSearch, encoding: Encoding): Promise<Outcome<SearchResult>> {
    const { shape, plan, output, collection, target } = planned;
    const found = await this.hits(planned);
    if (!found.ok) return found;
    const page = attemptNow(() => this.#engine.addon.sliceHits(found.value.hits, shape.offset, shape.limit));
    if (!page.ok) return page;
    const rows = await this.rows(planned.reading, page.value, output);
    if (!rows.ok) return rows;
    const iterator = this.#iteratorAnswer(planned, page.value);
    if (!iterator.ok) return iterator;
    const body = this.encode(collection, {
      hits: page.value, rows: rows.value, output, encoding, metric: target.metric,
      roundDecimal: shape.roundDecimal, topK: Math.min(shape.limit, plan.topK), iterator: iterator.value,
    });
    if (!body.ok) return body;
    const sessionTimestamp = shape.iterator?.first === true ? found.value.snapshot : (0n as Timestamp);
    return succeed({ body: body.value, collection: collection.info, metric: target.metric, sessionTimestamp });
  }

  encode(collection: KnownCollection, answer: {
    readonly hits: Uint8Array;
    readonly rows: readonly Uint8Array[];
    readonly output: OutputColumns;
    readonly encoding: Encoding;
    readonly metric: string;
    readonly roundDecimal: number;
    readonly topK: number;
    readonly iterator?: { readonly token: string; readonly lastBound: number } | undefined;
  }): Outcome<Uint8Array> {
    const options = {
      ...answer.output, metric: answer.metric, roundDecimal: answer.roundDecimal, topK: answer.topK,
      ...(answer.iterator === undefined ? {} : { iterator: answer.iterator }),
    };
    return encodeSearch(this.#engine.addon, collection.compiled, answer.hits, answer.rows, answer.encoding, options);
  }

  #iteratorAnswer(
    planned: PlannedSearch,
    hits: Uint8Array,
  ): Outcome<{ readonly token: string; readonly lastBound: number } | undefined> {
    const { iterator } = planned.shape;
    if (iterator?.version !== 2) return succeed(undefined);
    const last = attemptNow(() => this.#engine.addon.lastScore(hits));
    if (!last.ok) return last;
    const worst = planned.target.metric === "IP" || planned.target.metric === "COSINE" ? -FLOAT_MAX : FLOAT_MAX;
    const token = iterator.token ?? this.#reads.newToken();
    return succeed({ token, lastBound: last.value ?? iterator.lastBound ?? worst });
  }

  #placeholders(
    collection: KnownCollection,
    target: SearchTarget,
    request: Search,
  ): Outcome<{ bytes: Uint8Array; nq: number }> {
    const read = readPlaceholders(this.#engine.addon, collection.compiled, target.field.id, request.placeholders);
    if (!read.ok) return read;
    const { message, nq } = read.value;
    const claimed = request.nq === 0 ? nq : request.nq;
    if (claimed < 1 || claimed > NQ_MAX) {
      return fail({
        kind: "invalidParameter",
        message: `nq [${claimed}] is invalid, nq (number of search vector per search request) ` +
          `should be in range [1, ${NQ_MAX}], but got ${claimed}`,
      });
    }
    if (claimed !== nq) {
      return fail({
        kind: "invalidParameter", message: "nq does not match the placeholder group",
        expected: String(nq), actual: String(claimed),
      });
    }
    return succeed({ bytes: message, nq });
  }
}

const NQ_MAX = 16_384;
/** Largest 32-bit float. */
const FLOAT_MAX = 3.4028234663852886e38;
