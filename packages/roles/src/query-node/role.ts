/** The query node: sealed segments by id, opened on request and searched together. */
import type { QueryNodeContract } from "@elanus/model/contract/query-node";
import type { NodeId } from "@elanus/model/id";
import { type Outcome, succeed } from "@elanus/model/outcome";
import type { Timestamp } from "@elanus/model/time";
import type { RunningRole, World } from "@elanus/platform/ports/world";
import { attemptNow, type NativeEngine, type NativeSegment } from "@elanus/segment/native-engine";
import { countSegments, querySegments, retrieveHits, searchSegments } from "@elanus/segment/search";
import { ResidentSegments } from "./resident-segments.ts";

export interface QueryNodeConfig {
  readonly node: NodeId;
  readonly engine: NativeEngine;
}

export function startQueryNode(world: World, config: QueryNodeConfig): RunningRole<QueryNodeContract> {
  const residents = new ResidentSegments(config.engine, world.objects);
  const contract = serve(world, config.engine, residents);
  return {
    contract,
    stop() {
      residents.close();
      return Promise.resolve();
    },
  };
}

function serve(world: World, engine: NativeEngine, residents: ResidentSegments): QueryNodeContract {
  const open = world.telemetry.gauge("elanus_query_node_segments", "Sealed segments that are open.");
  return {
    async load(request) {
      const loaded = await residents.load(request);
      open.set(residents.count);
      if (!loaded.ok) {
        const { id, collection } = request.meta;
        world.telemetry.log("warn", "segment not loaded", { segment: id, collection, error: loaded.error });
      }
      return loaded;
    },
    async release(segments, order) {
      await residents.release(segments, order);
      open.set(residents.count);
      return succeed(undefined);
    },
    applyDeletes: (segments, keys, at) => Promise.resolve(applyDeletes(residents, { segments, keys, at })),
    exportDeletes: (segment, term) => {
      const exported = residents.exportDeletes(segment, term);
      if (!exported.ok || exported.value === undefined) return Promise.resolve(exported as Outcome<undefined>);
      const { bytes, deletedCount, newest } = exported.value;
      return Promise.resolve(succeed({ bytes, deletedCount, newest: newest as Timestamp }));
    },
    async search(segments, plan, snapshot, growing = []) {
      const found = residents.findReadable(segments);
      if (!found.ok) return found;
      // The contract cannot name the engine's type; handles come from the streaming node of this process.
      const all = growing.length === 0 ? found.value : [...(growing as readonly NativeSegment[]), ...found.value];
      return searchSegments(engine, { segments: all, snapshot }, plan);
    },
    async query(segments, plan, snapshot) {
      const found = residents.findReadable(segments);
      const { responseBytesMax } = world.limits;
      return found.ok ? querySegments(engine, { segments: found.value, snapshot }, plan, responseBytesMax) : found;
    },
    async count(segments, plan, snapshot) {
      const found = residents.findReadable(segments);
      return found.ok ? countSegments(engine, { segments: found.value, snapshot }, plan) : found;
    },
    async retrieve(segments, hits, fields) {
      const found = residents.find(segments);
      return found.ok ? retrieveHits(engine, found.value, hits, fields) : found;
    },
  };
}

function applyDeletes(
  residents: ResidentSegments,
  deletes: {
    readonly segments: Parameters<QueryNodeContract["applyDeletes"]>[0];
    readonly keys: Uint8Array;
    readonly at: Timestamp;
  },
): Outcome<readonly number[]> {
  const found = residents.findOwned(deletes.segments);
  if (!found.ok) return found;
  return attemptNow(() => found.value.map((segment) => segment.delete(deletes.keys, deletes.at)));
}
