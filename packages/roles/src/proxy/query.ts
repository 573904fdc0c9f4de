/** Query, get and count: one phase, rows by ascending key. Delete by expression finds its keys here. */
import type { Consistency, Encoding, Query, QueryResult } from "@elanus/model/contract/proxy";
import type { NodeReport, QueryReport } from "@elanus/model/explain";
import { fail, succeed, type Outcome } from "@elanus/model/outcome";
import { primaryKeyOf } from "@elanus/model/schema";
import type { QueryPlan } from "@elanus/model/plan";
import type { Timestamp } from "@elanus/model/time";
import type { CheckedFilter } from "@elanus/query/filter/parse-filter";
import type { Clock } from "@elanus/platform/ports/world";
import { encodeQuery } from "@elanus/engine/hits";
import { attemptNow } from "@elanus/segment/native-engine";
import type { CatalogCache, KnownCollection } from "./catalog-cache.ts";
import type { ProxyEngine } from "./config.ts";
import { checkedFilter, type Reading, type ReadTask } from "./read.ts";
import { iteratorSnapshot } from "./state/consistency.ts";
import { refuseFeatures } from "./state/flat-params.ts";
import { loadedFields } from "./state/loaded-fields.ts";
import { countColumn, resolveOutput } from "./state/output-fields.ts";
import { queryShape, type QueryShape } from "./state/query-shape.ts";

const UNSUPPORTED = ["group_by_fields", "order_by_fields", "time_fields", "query_iter_last_pk"];

/** A query after its checks. */
interface PlannedQuery {
  readonly reading: Reading;
  readonly shape: QueryShape;
  readonly filter: CheckedFilter;
  readonly encoding: Encoding;
  readonly begunMs: number;
}

export class QueryTask {
  readonly #clock: Clock;
  readonly #engine: ProxyEngine;
  readonly #cache: CatalogCache;
  readonly #reads: ReadTask;

  constructor(engine: ProxyEngine, cache: CatalogCache, reads: ReadTask, clock: Clock) {
    this.#clock = clock;
    this.#engine = engine;
    this.#cache = cache;
    this.#reads = reads;
  }

  async query(request: Query, encoding: Encoding, deadlineMs: number): Promise<Outcome<QueryResult>> {
    const begunMs = this.#clock.nowMs();
    const found = await this.#cache.collection(request);
    if (!found.ok) return found;
    const collection = found.value;
    const supported = refuseFeatures(request.params, UNSUPPORTED, "Query");
    if (!supported.ok) return supported;
    const count = countColumn(request.outputFields);
    if (!count.ok) return count;
    const shape = queryShape(request.params, collection.info.id, count.value !== undefined);
    if (!shape.ok) return shape;
    const filter = checkedFilter(request.filter, collection, "query");
    if (!filter.ok) return filter;
    const unbounded = filter.value.kind === "all" || filter.value.alwaysTrue;
    if (unbounded && shape.value.limit === undefined && count.value === undefined) {
      return fail({ kind: "invalidParameter", message: "empty expression should be used with limit" });
    }
    const reading = await this.#begin(collection, request, shape.value, filter.value, deadlineMs);
    if (!reading.ok) return reading;
    const read = { reading: reading.value, shape: shape.value, filter: filter.value, encoding, begunMs };
    return count.value === undefined ? this.#rows({ request, ...read }) : this.#count(count.value, read);
  }

  /** Encoded keys of the rows that match, at a snapshot. */
  async keys(
    collection: KnownCollection,
    wish: {
      readonly partitions: readonly string[];
      readonly filter: CheckedFilter;
      readonly consistency: Consistency;
      readonly deadlineMs: number;
    },
  ): Promise<Outcome<{ keys: Uint8Array; count: number }>> {
    const reading = await this.#reads.begin(collection, {
      ...wish,
      ignoreGrowing: false,
      snapshot: undefined,
      pin: undefined,
    });
    if (!reading.ok) return reading;
    const plan = { fields: [primaryKeyOf(collection.schema).id], ...this.#rowsOf(collection, wish.filter) };
    const answers = await this.#reads.ask(reading.value, (node, scope) => node.query(scope, plan));
    if (!answers.ok) return answers;
    const parts = answers.value.flatMap((answer) => answer.rows);
    if (parts.length === 0) return succeed({ keys: new Uint8Array(), count: 0 });
    return attemptNow(() => this.#engine.addon.keysOfRows(collection.compiled, parts));
  }

  #begin(
    collection: KnownCollection,
    request: Query,
    shape: QueryShape,
    filter: CheckedFilter,
    deadlineMs: number,
  ): Promise<Outcome<Reading>> {
    return this.#reads.begin(collection, {
      partitions: request.partitions,
      filter,
      consistency: request.consistency,
      ignoreGrowing: shape.ignoreGrowing,
      snapshot: shape.iterator ? iteratorSnapshot(request.consistency.guarantee) : undefined,
      pin: undefined,
      deadlineMs,
    });
  }

  async #count(
    name: string,
    { reading, shape, filter, encoding, begunMs }: PlannedQuery,
  ): Promise<Outcome<QueryResult>> {
    const plannedMs = this.#clock.nowMs();
    const plan = { ...this.#rowsOf(reading.collection, filter), ...(shape.explain ? { explain: true } : {}) };
    const answers = await this.#reads.ask(reading, (node, scope) => node.count(scope, plan));
    if (!answers.ok) return answers;
    const readMs = this.#clock.nowMs();
    const total = answers.value.reduce((sum, answer) => sum + answer.count, 0n);
    const column =
      encoding === "message"
        ? attemptNow(() => this.#engine.addon.encodeCount(name, total))
        : succeed(countJson(name, total, encoding));
    if (!column.ok) return column;
    const report = this.#report(shape, answers.value, { begunMs, plannedMs, readMs });
    const sessionTimestamp = 0n as Timestamp;
    return succeed(
      this.#result(reading, { columns: [column.value], outputFields: [name], sessionTimestamp, ...report }),
    );
  }

  async #rows(query: PlannedQuery & { readonly request: Query }): Promise<Outcome<QueryResult>> {
    const { reading, shape, encoding, begunMs } = query;
    const { collection } = reading;
    const output = resolveOutput(
      collection.schema,
      query.request.outputFields,
      "first",
      loadedFields(collection.info.load),
    );
    if (!output.ok) return output;
    const plan = {
      fields: output.value.fields,
      ...this.#rowsOf(collection, query.filter),
      ...(shape.limit === undefined ? {} : { limit: shape.offset + shape.limit }),
      ...(shape.explain ? { explain: true } : {}),
    };
    const plannedMs = this.#clock.nowMs();
    const answers = await this.#reads.ask(reading, (node, scope) => node.query(scope, plan));
    if (!answers.ok) return answers;
    const readMs = this.#clock.nowMs();
    const parts = answers.value.flatMap((answer) => answer.rows);
    const options = {
      fields: output.value.fields,
      dynamicKeys: output.value.dynamicKeys,
      offset: shape.offset,
      ...(shape.limit === undefined ? {} : { limit: shape.limit }),
    };
    const columns = encodeQuery(this.#engine.addon, collection.compiled, parts, encoding, options);
    if (!columns.ok) return columns;
    const [first] = answers.value;
    const snapshot = reading.scope.snapshot ?? first?.snapshot ?? (0n as Timestamp);
    const isFirstPage = shape.iterator && iteratorSnapshot(query.request.consistency.guarantee) === undefined;
    return succeed(
      this.#result(reading, {
        columns: columns.value,
        outputFields: output.value.outputFields,
        sessionTimestamp: isFirstPage ? snapshot : (0n as Timestamp),
        ...this.#report(shape, answers.value, { begunMs, plannedMs, readMs }),
      }),
    );
  }

  /** Which rows a plan is about: those that pass the filter and have not expired. */
  #rowsOf(collection: KnownCollection, filter: CheckedFilter): Pick<QueryPlan, "filter" | "expired"> {
    const expired = this.#reads.expired(collection);
    return {
      ...(filter.kind === "program" ? { filter: filter.bytes } : {}),
      ...(expired === undefined ? {} : { expired }),
    };
  }

  /** The account of a read that began, was planned and had its rows at these moments, when it was asked for. */
  #report(
    shape: QueryShape,
    answers: readonly { readonly report?: NodeReport }[],
    at: { readonly begunMs: number; readonly plannedMs: number; readonly readMs: number },
  ): { readonly report?: QueryReport } {
    if (!shape.explain) return {};
    const nowMs = this.#clock.nowMs();
    return {
      report: {
        ...(shape.limit === undefined ? {} : { limit: shape.offset + shape.limit }),
        nodes: answers.flatMap((answer) => answer.report ?? []),
        plannedMs: at.plannedMs - at.begunMs,
        readMs: at.readMs - at.plannedMs,
        encodedMs: nowMs - at.readMs,
        totalMs: nowMs - at.begunMs,
      },
    };
  }

  #result(reading: Reading, answer: Omit<QueryResult, "primaryField" | "collection">): QueryResult {
    const { info, schema } = reading.collection;
    return { ...answer, primaryField: primaryKeyOf(schema).name, collection: info };
  }
}

function countJson(name: string, count: bigint, encoding: Encoding): Uint8Array {
  const value = encoding === "jsonText" ? `"${count}"` : String(count);
  return new TextEncoder().encode(`[{${JSON.stringify(name)}:${value}}]`);
}
