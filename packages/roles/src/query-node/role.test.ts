/** Sealed segments on a query node that several owners of a shard ask, one of them thought dead. */
import { loadAddon } from "@elanus/engine/load";
import type { SealedSegmentMeta } from "@elanus/model/catalog";
import type { LoadSegment, QueryNodeContract } from "@elanus/model/contract/query-node";
import type { CollectionId, FieldId, NodeId, PartitionId, SegmentId, ShardId, Term } from "@elanus/model/id";
import { defaultLimits } from "@elanus/model/limits";
import type { Outcome } from "@elanus/model/outcome";
import { type CollectionSchema, DataType, plainField } from "@elanus/model/schema";
import type { Timestamp } from "@elanus/model/time";
import { memoryObjects } from "@elanus/platform/drivers/objects/memory";
import { silentTelemetry } from "@elanus/platform/drivers/telemetry/silent";
import type { World } from "@elanus/platform/ports/world";
import { GrowingSegment } from "@elanus/segment/growing";
import { compileSchema, type NativeEngine } from "@elanus/segment/native-engine";
import { beforeEach, expect, it } from "vitest";
import { startQueryNode } from "./role.ts";

const addon = loadAddon();
const engine: NativeEngine = { addon, pool: new addon.Pool(0) };
const KEY = 100 as FieldId;
const schema: CollectionSchema = {
  name: "points",
  description: "",
  fields: [
    plainField({ id: KEY, name: "id", type: DataType.int64, primaryKey: true }),
    plainField({ id: 101 as FieldId, name: "at", type: DataType.floatVector, dim: 2 }),
  ],
  dynamicFieldEnabled: false,
  version: 0,
};
const native = compileSchema(engine, schema);
const objects = memoryObjects();
const SHARD = "p0_7v0" as ShardId;
const FIRST = 1 as Term;
const SECOND = 2 as Term;
const NOW = 99n as Timestamp;

let node: QueryNodeContract;
let meta: SealedSegmentMeta;
let sent: bigint;

function must<T>(outcome: Outcome<T>): T {
  if (!outcome.ok) throw new Error(outcome.error.kind);
  return outcome.value;
}

/** A node without segments, as after its restart. */
function startFresh(): void {
  const world = { objects, telemetry: silentTelemetry, limits: defaultLimits } as Partial<World> as World;
  node = startQueryNode(world, { node: 1 as NodeId, engine }).contract;
}

beforeEach(async () => {
  sent = 0n;
  startFresh();
  const identity = { id: 5n as SegmentId, collection: 7n as CollectionId, partition: 8n as PartitionId, shard: SHARD };
  const growing = new GrowingSegment(engine, native, identity);
  const json = new TextEncoder().encode(JSON.stringify([1, 2, 3].map((id) => ({ id, at: [id, id] }))));
  const rows = addon.Rows.fromJson(native, json, { upsert: false, allowInsertAutoId: false });
  must(growing.append(rows.encode(), 10n as Timestamp));
  meta = must(await growing.seal(engine, objects));
});

function load(term: Term, refresh: boolean): ReturnType<QueryNodeContract["load"]> {
  sent += 1n;
  const order = (BigInt(term) << 40n) + sent;
  const request: LoadSegment = { schema, meta, indexes: [], carryFrom: [], refresh, term, order };
  return node.load(request);
}

function bury(term: Term, key: bigint, at: bigint): ReturnType<QueryNodeContract["applyDeletes"]> {
  return node.applyDeletes({ ids: [meta.id], term }, addon.encodeKeys([key]), at as Timestamp);
}

/** An owner opens the segment and gives it the tombstones that it found in the log. */
async function bringUp(term: Term, tombstones: readonly (readonly [key: bigint, at: bigint])[]): Promise<void> {
  must(await load(term, false));
  for (const [key, at] of tombstones) must(await bury(term, key, at));
  must(await load(term, true));
}

async function count(term: Term): Promise<bigint | string> {
  const counted = await node.count([{ ids: [meta.id], term }], {}, NOW);
  return counted.ok ? counted.value.count : counted.error.kind;
}

it("is read once its owner has brought it up to date, and not before", async () => {
  must(await load(FIRST, false));
  expect(await count(FIRST)).toBe("notReady");
  must(await bury(FIRST, 1n, 20n));
  must(await load(FIRST, true));
  expect(await count(FIRST)).toBe(2n);
});

it("counts as closed for an owner that did not open it: the opening of another lacks tombstones", async () => {
  await bringUp(SECOND, [[1n, 20n]]);
  startFresh();
  await bringUp(FIRST, []);
  expect(await count(FIRST)).toBe(3n);
  const segments = [{ ids: [meta.id], term: SECOND }];
  const refused = { ok: false, error: { kind: "notReady" } };
  expect(await load(SECOND, true)).toMatchObject(refused);
  expect(await bury(SECOND, 2n, 30n)).toMatchObject(refused);
  expect(await node.exportDeletes(meta.id, SECOND)).toMatchObject(refused);
  expect(await node.count(segments, {}, NOW)).toMatchObject(refused);
  expect(await node.query(segments, { fields: [KEY] }, NOW)).toMatchObject(refused);
});

it("passes to a later owner, and an earlier one gets it no more", async () => {
  await bringUp(FIRST, []);
  must(await load(SECOND, false));
  expect(await count(FIRST)).toBe("notReady");
  expect(await count(SECOND)).toBe("notReady");
  must(await bury(SECOND, 1n, 20n));
  must(await load(SECOND, true));
  expect(await count(SECOND)).toBe(2n);
  expect(await load(FIRST, false)).toMatchObject({ ok: false, error: { kind: "fenced" } });
  expect(await bury(FIRST, 2n, 30n)).toMatchObject({ ok: false, error: { kind: "notReady" } });
  expect(await count(SECOND)).toBe(2n);
});
