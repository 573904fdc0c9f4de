/** Query, get and count: one phase, rows by ascending key. Delete by expression finds its keys here. */
import type { Consistency, Encoding, Query, QueryResult } from "@elanus/model/contract/proxy";
import { fail, succeed, type Outcome } from "@elanus/model/outcome";
import { primaryKeyOf } from "@elanus/model/schema";
import type { Timestamp } from "@elanus/model/time";
import type { CheckedFilter } from "@elanus/query/filter/parse-filter";
import { encodeQuery } from "@elanus/engine/hits";
import { attemptNow, type NativeEngine } from "@elanus/segment/native-engine";
import type { CatalogCache, KnownCollection } from "./catalog-cache.ts";
import type { Reading, ReadTask } from "./read.ts";
import { iteratorSnapshot } from "./state/consistency.ts";
import { refuseFeatures } from "./state/flat-params.ts";
import { countColumn, resolveOutput } from "./state/output-fields.ts";
import { queryShape, type QueryShape } from "./state/query-shape.ts";

const UNSUPPORTED = ["group_by_fields", "order_by_fields", "time_fields", "query_iter_last_pk"];

export class QueryTask {
  readonly #engine: NativeEngine;
  readonly #cache: CatalogCache;
  readonly #reads: ReadTask;

  constructor(engine: NativeEngine, cache: CatalogCache, reads: ReadTask) {
    this.#engine = engine;
    this.#cache = cache;
    this.#reads = reads;
  }

  async query(request: Query, encoding: Encoding, deadlineMs: number): Promise<Outcome<QueryResult>> {
    const found = await this.#cache.collection(request);
    if (!found.ok) return found;
    const collection = found.value;
    const supported = refuseFeatures(request.params, UNSUPPORTED, "Query");
    if (!supported.ok) return supported;
    const count = countColumn(request.outputFields);
    if (!count.ok) return count;
    const shape = queryShape(request.params, collection.info.id, count.value !== undefined);
    if (!shape.ok) return shape;
    const filter = this.#reads.filter(request.filter, collection.schema, "query");
    if (!filter.ok) return filter;
    const unbounded = filter.value.kind === "all" || filter.value.alwaysTrue;
    if (unbounded && shape.value.limit === undefined && count.value === undefined) {
      return fail({ kind: "invalidParameter", message: "empty expression should be used with limit" });
    }
    const reading = await this.#begin(collection, request, shape.value, filter.value, deadlineMs);
    if (!reading.ok) return reading;
    if (count.value !== undefined) return this.#count(reading.value, filter.value, count.value, encoding);
    return this.#rows({ request, reading: reading.value, shape: shape.value, filter: filter.value, encoding });
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
    const plan = { fields: [primaryKeyOf(collection.schema).id], ...programOf(wish.filter) };
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
    reading: Reading,
    filter: CheckedFilter,
    name: string,
    encoding: Encoding,
  ): Promise<Outcome<QueryResult>> {
    const program = filter.kind === "program" ? filter.bytes : undefined;
    const answers = await this.#reads.ask(reading, (node, scope) => node.count(scope, program));
    if (!answers.ok) return answers;
    const total = answers.value.reduce((sum, answer) => sum + answer.count, 0n);
    const column =
      encoding === "message"
        ? attemptNow(() => this.#engine.addon.encodeCount(name, total))
        : succeed(countJson(name, total, encoding));
    if (!column.ok) return column;
    return succeed(
      this.#result(reading, { columns: [column.value], outputFields: [name], sessionTimestamp: 0n as Timestamp }),
    );
  }

  async #rows(query: {
    readonly request: Query;
    readonly reading: Reading;
    readonly shape: QueryShape;
    readonly filter: CheckedFilter;
    readonly encoding: Encoding;
  }): Promise<Outcome<QueryResult>> {
    const { reading, shape, encoding } = query;
    const { collection } = reading;
    const output = resolveOutput(collection.schema, query.request.outputFields, "first");
    if (!output.ok) return output;
    const plan = {
      fields: output.value.fields,
      ...programOf(query.filter),
      ...(shape.limit === undefined ? {} : { limit: shape.offset + shape.limit }),
    };
    const answers = await this.#reads.ask(reading, (node, scope) => node.query(scope, plan));
    if (!answers.ok) return answers;
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
      }),
    );
  }

  #result(reading: Reading, answer: Pick<QueryResult, "columns" | "outputFields" | "sessionTimestamp">): QueryResult {
    const { info, schema } = reading.collection;
    return { ...answer, primaryField: primaryKeyOf(schema).name, collection: info };
  }
}

function programOf(filter: CheckedFilter): { filter?: Uint8Array } {
  return filter.kind === "program" ? { filter: filter.bytes } : {};
}

function countJson(name: string, count: bigint, encoding: Encoding): Uint8Array {
  const value = encoding === "jsonText" ? `"${count}"` : String(count);
  return new TextEncoder().encode(`[{${JSON.stringify(name)}:${value}}]`);
}
