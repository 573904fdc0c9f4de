/** Search: plan, ask the owners, reduce, cut the page, fetch the page's fields from the pinned views, encode. */
import { largerIsBetter } from "@elanus/model/catalog";
import type { Encoding, Search, SearchResult } from "@elanus/model/contract/proxy";
import { fail, succeed, type Outcome } from "@elanus/model/outcome";
import type { SearchReport } from "@elanus/model/explain";
import type { FieldId, PinId } from "@elanus/model/id";
import type { AnswerShape, SearchPlan } from "@elanus/model/plan";
import type { Timestamp } from "@elanus/model/time";
import type { Clock } from "@elanus/platform/ports/world";
import { encodeSearch, reduceHits } from "@elanus/engine/hits";
import { readPlaceholders } from "@elanus/engine/rows";
import { attemptNow } from "@elanus/segment/native-engine";
import type { CatalogCache, KnownCollection } from "./catalog-cache.ts";
import type { ProxyEngine } from "./config.ts";
import type { Reading, ReadTask } from "./read.ts";
import { type CheckedSearch, SearchChecks } from "./search-checks.ts";
import { iteratorSnapshot } from "./state/consistency.ts";
import { refuse, WINDOW_MAX } from "./state/flat-params.ts";
import { placeholdersOf } from "./state/float-placeholders.ts";
import { pageEnd } from "./state/iterator-page.ts";
import type { OutputColumns } from "./state/output-fields.ts";
import type { SearchShape } from "./state/search-shape.ts";
import type { SearchTarget } from "./state/search-target.ts";

export interface PlannedSearch {
  readonly collection: KnownCollection;
  readonly target: SearchTarget;
  readonly plan: SearchPlan;
  readonly shape: SearchShape;
  readonly reading: Reading;
  readonly output: OutputColumns;
  /** First page of an iterator: the answer names the snapshot for the pages to come. */
  readonly opensSession: boolean;
}

/** A view that several searches share. */
export interface SharedView {
  readonly snapshot: Timestamp;
  readonly pin: PinId | undefined;
}

/** Hits of every owner together, and how they were found when that was asked. */
export interface SearchHits {
  readonly hits: Uint8Array;
  /** In place of the hits: one node held everything and has answered. */
  readonly answer: Uint8Array | undefined;
  readonly snapshot: Timestamp;
  readonly report?: SearchReport["searches"][number];
}

export class SearchTask {
  readonly #clock: Clock;
  readonly #engine: ProxyEngine;
  readonly #cache: CatalogCache;
  readonly #reads: ReadTask;
  readonly #checks = new SearchChecks();
  /** Searches that were asked and not answered yet. */
  #running = 0;

  constructor(engine: ProxyEngine, cache: CatalogCache, reads: ReadTask, clock: Clock) {
    this.#clock = clock;
    this.#engine = engine;
    this.#cache = cache;
    this.#reads = reads;
  }

  async search(request: Search, encoding: Encoding, deadlineMs: number): Promise<Outcome<SearchResult>> {
    this.#running += 1;
    try {
      return await this.#search(request, encoding, deadlineMs);
    } finally {
      this.#running -= 1;
    }
  }

  async #search(request: Search, encoding: Encoding, deadlineMs: number): Promise<Outcome<SearchResult>> {
    const begunMs = this.#clock.nowMs();
    const found = await this.#cache.collection(request);
    if (!found.ok) return found;
    const planned = await this.plan(found.value, request, deadlineMs, { encoding });
    if (!planned.ok) return planned;
    try {
      return await this.#execute(planned.value, encoding, begunMs);
    } finally {
      this.#reads.release(found.value, planned.value.reading.pin);
    }
  }

  /** Checks the request and fixes its view: its own, with the encoding of its answer, or a shared one. */
  async plan(
    collection: KnownCollection,
    request: Search,
    deadlineMs: number,
    { view, encoding }: { readonly view?: SharedView; readonly encoding?: Encoding },
  ): Promise<Outcome<PlannedSearch>> {
    const checked = this.#checks.check(collection, request);
    if (!checked.ok) return checked;
    const { target, shape, filter, output, answers } = checked.value;
    const isOne = collection.owners.length === 1 && encoding !== undefined;
    const plan = this.#searchPlan(collection, request, checked.value, isOne ? answers?.[encoding] : undefined);
    if (!plan.ok) return plan;
    const ownSnapshot = shape.iterator === undefined ? undefined : iteratorSnapshot(request.consistency.guarantee);
    const reading = await this.#reads.begin(collection, {
      partitions: request.partitions,
      filter,
      consistency: request.consistency,
      ignoreGrowing: shape.ignoreGrowing,
      snapshot: view?.snapshot ?? ownSnapshot,
      pin: view === undefined && output.fields.length > 0 ? this.#reads.newPin() : view?.pin,
      deadlineMs,
    });
    if (!reading.ok) return reading;
    return succeed({
      collection,
      target,
      plan: plan.value,
      shape,
      reading: reading.value,
      output,
      opensSession: shape.iterator !== undefined && ownSnapshot === undefined,
    });
  }

  #searchPlan(
    collection: KnownCollection,
    request: Search,
    checked: CheckedSearch,
    answer: AnswerShape | undefined,
  ): Outcome<SearchPlan> {
    const { target, shape, filter, groupBy } = checked;
    const query = this.#placeholders(collection, target, request);
    if (!query.ok) return query;
    if (shape.iterator !== undefined && query.value.nq !== 1) {
      return refuse("search iterator does not support processing multiple vectors simultaneously");
    }
    return succeed({
      field: target.field.id,
      metric: target.metric,
      placeholders: query.value.bytes,
      nq: query.value.nq,
      topK: Math.min(shape.offset + shape.limit, shape.rangeHitsMax ?? WINDOW_MAX),
      filter: filter.kind === "program" ? filter.bytes : undefined,
      params: shape.indexParams,
      radius: shape.bounds.radius,
      rangeFilter: shape.bounds.rangeFilter,
      afterScore: shape.bounds.afterScore,
      groupBy,
      filterLate: shape.filterLate,
      exact: target.index.type === "FLAT",
      expired: this.#reads.expired(collection),
      explain: shape.explain,
      answer,
      alone: this.#running === 1,
    });
  }

  /** Hits of every owner, reduced; at most `topK` per query. */
  async hits(planned: PlannedSearch): Promise<Outcome<SearchHits>> {
    const { plan, reading, target } = planned;
    const answers = await this.#reads.ask(reading, (node, scope) => node.search(scope, plan));
    if (!answers.ok) return answers;
    const [first] = answers.value;
    if (first === undefined) return fail({ kind: "internal", message: "a collection without shards" });
    const parts = answers.value.map((answer) => answer.hits);
    const begunMs = this.#clock.nowMs();
    const reduced =
      parts.length === 1 ? succeed(first.hits) : reduceHits(this.#engine.addon, parts, plan.topK, target.metric);
    if (!reduced.ok) return reduced;
    const found = { hits: reduced.value, answer: first.answer, snapshot: first.snapshot };
    if (plan.explain !== true) return succeed(found);
    const report = {
      field: target.field.name,
      metric: target.metric,
      topK: plan.topK,
      queries: plan.nq,
      nodes: answers.value.flatMap((answer) => answer.report ?? []),
      reducedMs: this.#clock.nowMs() - begunMs,
    };
    return succeed({ ...found, report });
  }

  /** Output fields of hits, from the views that found them. */
  async rows(reading: Reading, hits: Uint8Array, output: OutputColumns): Promise<Outcome<readonly Uint8Array[]>> {
    const { pin } = reading;
    if (pin === undefined || output.fields.length === 0) return succeed([]);
    const parts = await this.#reads.ask(reading, (node) => node.retrieve(pin, hits, output.fields));
    return parts.ok ? succeed(parts.value.flat()) : parts;
  }

  async #execute(planned: PlannedSearch, encoding: Encoding, begunMs: number): Promise<Outcome<SearchResult>> {
    const { shape, plan, output, collection, target } = planned;
    const plannedMs = this.#clock.nowMs();
    const found = shape.iterator?.version === 2 ? await this.#iteratorHits(planned) : await this.hits(planned);
    if (!found.ok) return found;
    const { answer } = found.value;
    if (answer !== undefined) {
      const { info } = collection;
      return succeed({ body: answer, collection: info, metric: target.metric, sessionTimestamp: 0n as Timestamp });
    }
    const page = attemptNow(() => this.#page(planned, found.value.hits));
    if (!page.ok) return page;
    const searchedMs = this.#clock.nowMs();
    const rows = await this.rows(planned.reading, page.value, output);
    if (!rows.ok) return rows;
    const iterator = this.#iteratorAnswer(planned, page.value);
    if (!iterator.ok) return iterator;
    const body = this.encode(collection, {
      hits: page.value,
      rows: rows.value,
      output,
      encoding,
      metric: target.metric,
      roundDecimal: shape.roundDecimal,
      topK: Math.min(shape.limit, plan.topK),
      iterator: iterator.value,
      groupField: plan.groupBy?.field,
    });
    if (!body.ok) return body;
    const sessionTimestamp = planned.opensSession ? found.value.snapshot : (0n as Timestamp);
    const result = { body: body.value, collection: collection.info, metric: target.metric, sessionTimestamp };
    const { report } = found.value;
    if (report === undefined) return succeed(result);
    const times = { begunMs, plannedMs, searchedMs };
    return succeed({ ...result, report: this.report([report], times) });
  }

  /** What the client asked for of the hits of all owners; offset and limit count groups where there are any. */
  #page(planned: PlannedSearch, hits: Uint8Array): Uint8Array {
    const { shape, plan, target } = planned;
    const { addon } = this.#engine;
    if (shape.iterator?.version === 2) return hits;
    const { offset, limit } = shape;
    if (plan.groupBy === undefined) return offset === 0 ? hits : addon.sliceHits(hits, offset, limit);
    return addon.groupHits(hits, { offset, limit, size: plan.groupBy.size, scorer: "max" }, target.metric);
  }

  /** The account of searches that began, were planned and had their hits at these moments, and are answered now. */
  report(
    searches: SearchReport["searches"],
    at: { readonly begunMs: number; readonly plannedMs: number; readonly searchedMs: number },
  ): SearchReport {
    const nowMs = this.#clock.nowMs();
    return {
      searches,
      plannedMs: at.plannedMs - at.begunMs,
      searchedMs: at.searchedMs - at.plannedMs,
      retrievedMs: nowMs - at.searchedMs,
      totalMs: nowMs - at.begunMs,
    };
  }

  encode(
    collection: KnownCollection,
    answer: {
      readonly hits: Uint8Array;
      readonly rows: readonly Uint8Array[];
      readonly output: OutputColumns;
      readonly encoding: Encoding;
      readonly metric: string;
      readonly roundDecimal: number;
      readonly topK: number;
      readonly iterator?: { readonly token: string; readonly lastBound: number } | undefined;
      readonly groupField?: FieldId | undefined;
    },
  ): Outcome<Uint8Array> {
    const { hits, rows, output, encoding, metric, roundDecimal, topK, iterator, groupField } = answer;
    const { fields, outputFields, dynamicKeys } = output;
    const int64AsText = encoding === "jsonText";
    return encodeSearch(this.#engine.addon, collection.compiled, hits, rows, encoding, {
      fields,
      outputFields,
      dynamicKeys,
      metric,
      roundDecimal,
      topK,
      int64AsText,
      iterator,
      groupField,
    });
  }

  /** A page of an iterator ends where no tie goes on; see `state/iterator-page`. */
  async #iteratorHits(planned: PlannedSearch): Promise<Outcome<SearchHits>> {
    const { addon } = this.#engine;
    const { limit } = planned.shape;
    for (let topK = Math.min(limit + TIES_EXPECTED, WINDOW_MAX); ; topK = Math.min(topK * 4, WINDOW_MAX)) {
      const found = await this.hits({ ...planned, plan: widened(planned.plan, topK) });
      if (!found.ok) return found;
      const { hits } = found.value;
      const cut = attemptNow(() => {
        const count = addon.hitCount(hits);
        const scoreAt = (place: number): number => addon.lastScore(addon.sliceHits(hits, 0, place + 1)) ?? Number.NaN;
        const end = pageEnd({ count, scoreAt }, limit, count < topK);
        return end === undefined && topK < WINDOW_MAX ? undefined : addon.sliceHits(hits, 0, end ?? count);
      });
      if (!cut.ok) return cut;
      if (cut.value !== undefined) return succeed({ ...found.value, hits: cut.value });
    }
  }

  #iteratorAnswer(
    planned: PlannedSearch,
    hits: Uint8Array,
  ): Outcome<{ readonly token: string; readonly lastBound: number } | undefined> {
    const { iterator } = planned.shape;
    if (iterator?.version !== 2) return succeed(undefined);
    const last = attemptNow(() => this.#engine.addon.lastScore(hits));
    if (!last.ok) return last;
    const worst = largerIsBetter(planned.target.metric) ? -FLOAT_MAX : FLOAT_MAX;
    const token = iterator.token ?? this.#reads.newToken();
    return succeed({ token, lastBound: last.value ?? iterator.lastBound ?? worst });
  }

  #placeholders(
    collection: KnownCollection,
    target: SearchTarget,
    request: Search,
  ): Outcome<{ bytes: Uint8Array; nq: number }> {
    const given = request.placeholders;
    const input = given.kind === "floats" ? placeholdersOf(given.vectors, target.field.type) : given;
    const read = readPlaceholders(this.#engine.addon, collection.compiled, target.field.id, input);
    if (!read.ok) return read;
    const { message, nq } = read.value;
    const claimed = request.nq === 0 ? nq : request.nq;
    if (claimed < 1 || claimed > NQ_MAX) {
      return fail({
        kind: "invalidParameter",
        message:
          `nq [${claimed}] is invalid, nq (number of search vector per search request) ` +
          `should be in range [1, ${NQ_MAX}], but got ${claimed}`,
      });
    }
    if (claimed !== nq) {
      return fail({
        kind: "invalidParameter",
        message: "nq does not match the placeholder group",
        expected: String(nq),
        actual: String(claimed),
      });
    }
    return succeed({ bytes: message, nq });
  }
}

/** The same search for more hits; an explicit search width grows along. */
function widened(plan: SearchPlan, topK: number): SearchPlan {
  const params = JSON.parse(plan.params) as Readonly<Record<string, number>>;
  const { ef } = params;
  return { ...plan, topK, params: JSON.stringify(ef === undefined ? params : { ...params, ef: Math.max(ef, topK) }) };
}

const NQ_MAX = 16_384;
/** Hits fetched beyond an iterator's batch, to see where the ties with its last hit end. */
const TIES_EXPECTED = 16;
/** Largest 32-bit float. */
const FLOAT_MAX = 3.4028234663852886e38;
