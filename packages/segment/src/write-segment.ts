/** Turns a segment in memory into immutable objects and the metadata that names them. */
import type { NativeSegment } from "@elanus/engine/addon";
import type { SealedSegmentMeta, SegmentFile } from "@elanus/model/catalog";
import type { CollectionId, PartitionId, SegmentId, ShardId } from "@elanus/model/id";
import { type Outcome, succeed } from "@elanus/model/outcome";
import type { Timestamp } from "@elanus/model/time";
import type { ObjectStore } from "@elanus/platform/ports/objects";
import { segmentFileKey } from "./manifest.ts";
import { attempt, attemptNow, type NativeEngine } from "./native-engine.ts";

export interface SegmentIdentity {
  readonly id: SegmentId;
  readonly collection: CollectionId;
  readonly partition: PartitionId;
  readonly shard: ShardId;
}

/**
 * Writes every column group and the tombstones known by now. Objects are durable when it resolves, but nothing
 * refers to them before the manifest is committed; writing again after a failure puts equal keys.
 */
export async function writeSegment(
  engine: NativeEngine,
  objects: ObjectStore,
  identity: SegmentIdentity,
  native: NativeSegment,
  sorted: boolean,
): Promise<Outcome<SealedSegmentMeta>> {
  const groups = attemptNow(() => native.groups());
  if (!groups.ok) return groups;
  const files: SegmentFile[] = [];
  // One group at a time: the encoded bytes of a whole segment would double its memory.
  for (const role of groups.value) {
    const bytes = await attempt(() => native.encodeGroup(engine.pool, role));
    if (!bytes.ok) return bytes;
    const file = await putFile(engine, objects, segmentFileKey(identity, role), role, bytes.value);
    if (!file.ok) return file;
    files.push(file.value);
  }
  const dataBytes = files.reduce((sum, file) => sum + file.bytes, 0);
  // A node that stops closes its segments under a seal that still runs.
  const facts = attemptNow(() => {
    const { rowCount, timestampMin, timestampMax } = native;
    return { rowCount, timestampMin, timestampMax };
  });
  if (!facts.ok) return facts;
  const deletes = attemptNow(() => native.exportDeletes());
  if (!deletes.ok) return deletes;
  if (deletes.value.deletedCount > 0) {
    const file = await putDeletes(engine, objects, identity, deletes.value);
    if (!file.ok) return file;
    files.push(file.value);
  }
  return succeed({
    ...identity,
    rowCount: facts.value.rowCount,
    deletedCount: deletes.value.deletedCount,
    bytes: dataBytes,
    timestampMin: facts.value.timestampMin as Timestamp,
    timestampMax: facts.value.timestampMax as Timestamp,
    files,
    indexes: [],
    sorted,
  });
}

/** A delete file gets a key of its own: the older one stays readable for manifests that name it. */
export function putDeletes(
  engine: NativeEngine,
  objects: ObjectStore,
  segment: Omit<SegmentIdentity, "partition">,
  deletes: { readonly bytes: Uint8Array; readonly deletedCount: number; readonly newest: bigint },
): Promise<Outcome<SegmentFile>> {
  const label = `${deletes.newest}-${deletes.deletedCount}`;
  return putFile(engine, objects, segmentFileKey(segment, "deletes", label), "deletes", deletes.bytes);
}

export async function putFile(
  engine: NativeEngine,
  objects: ObjectStore,
  key: string,
  role: string,
  bytes: Uint8Array,
): Promise<Outcome<SegmentFile>> {
  const put = await objects.put(key, [bytes]);
  if (!put.ok) return put;
  return succeed({ key, role, bytes: bytes.length, crc32c: engine.addon.crc32c(bytes) });
}
