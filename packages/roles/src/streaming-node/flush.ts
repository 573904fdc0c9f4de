/**
 * Sealing: growing rows become files, the manifest learns of them together with the tombstones of older segments
 * and the position up to which the log is reflected, and the view switches. Any step may fail and is taken again;
 * until the switch the growing rows serve.
 */
import type { SealedSegmentMeta, ShardManifest } from "@elanus/model/catalog";
import type { ManifestCommit } from "@elanus/model/contract/coordinator";
import type { SegmentId } from "@elanus/model/id";
import { fail, invariant, type Outcome, succeed } from "@elanus/model/outcome";
import { putDeletes } from "@elanus/segment/write-segment";
import type { Channel } from "./channel.ts";
import type { NodeContext } from "./node-context.ts";
import type { Generation, Shard } from "./shard.ts";
import { synchronise } from "./synchronise.ts";

/** Seals everything applied before the call; the ids of the new segments. */
export async function sealShard(
  context: NodeContext,
  channel: Channel,
  shard: Shard,
): Promise<Outcome<readonly SegmentId[]>> {
  return shard.maintenance.run(async () => {
    await shard.rotate();
    const sealed: SegmentId[] = [];
    for (let next = shard.oldestSealing(); next !== undefined; next = shard.oldestSealing()) {
      if (context.stopping || shard.dropped) break;
      const committed = await commitGeneration(context, channel, shard, next);
      if (!committed.ok) return committed;
      sealed.push(...committed.value);
    }
    return succeed(sealed);
  });
}

async function commitGeneration(
  context: NodeContext,
  channel: Channel,
  shard: Shard,
  generation: Generation,
): Promise<Outcome<readonly SegmentId[]>> {
  const written = await writeGeneration(context, shard, generation);
  if (!written.ok) return written;
  if (!isCommitted(shard.manifest, generation)) {
    const committed = await commitManifest(context, channel, shard, { generation, add: written.value });
    if (!committed.ok) return committed;
    shard.manifest = committed.value;
  }
  const switched = await synchronise(context, shard, { channel: channel.name, open: "live" });
  if (!switched.ok) return switched;
  await channel.truncate();
  const ids = written.value.map((meta) => meta.id);
  context.world.telemetry.log("info", "growing rows sealed", { shard: shard.id, segments: ids });
  return succeed(ids);
}

/** An earlier attempt may have reached the coordinator although its answer did not reach us. */
function isCommitted(manifest: ShardManifest, generation: Generation): boolean {
  return generation.unflushed === undefined || manifest.checkpoint >= generation.unflushed.last.position;
}

async function writeGeneration(
  context: NodeContext,
  shard: Shard,
  generation: Generation,
): Promise<Outcome<readonly SealedSegmentMeta[]>> {
  const metas: SealedSegmentMeta[] = [];
  for (const segment of generation.segments.values()) {
    if (segment.rowCount === 0) continue;
    const { id, partition } = segment.identity;
    const known = generation.written.get(id);
    const written = known === undefined ? await segment.seal(context.engine, context.world.objects) : succeed(known);
    if (shard.isPartitionDropped(partition)) continue;
    if (!written.ok) return written;
    generation.written.set(id, written.value);
    metas.push(written.value);
  }
  return succeed(metas);
}

async function commitManifest(
  context: NodeContext,
  channel: Channel,
  shard: Shard,
  task: { readonly generation: Generation; readonly add: readonly SealedSegmentMeta[] },
): Promise<Outcome<ShardManifest>> {
  const { unflushed } = task.generation;
  invariant(unflushed !== undefined, "a sealing generation has records");
  const opened = await synchronise(context, shard, { channel: channel.name, open: "all" });
  if (!opened.ok) return opened;
  const deletes = await exportDeletes(context, shard);
  if (!deletes.ok) return deletes;
  if (shard.dropped) return fail({ kind: "cancelled", message: `shard ${shard.id} was dropped` });
  const commit: ManifestCommit = {
    shard: shard.id,
    term: channel.term,
    add: task.add.filter((meta) => !shard.isPartitionDropped(meta.partition)),
    remove: [],
    deletes: deletes.value,
    checkpoint: unflushed.last,
  };
  const { coordinator } = context.world.peers;
  const committed = await coordinator.commitManifest(commit);
  if (committed.ok) return committed;
  if (committed.error.kind === "fenced") {
    if ((committed.error.term ?? channel.term) > channel.term) await channel.disown(committed.error);
    return committed;
  }
  // Files that waited too long for their commit are written again.
  if (committed.error.kind === "objectCollected") task.generation.written.clear();
  return adoptAfterRefusal(context, shard, task.generation, committed.error);
}

/** The commit may have been made, or a compaction came first: the manifest itself tells. */
async function adoptAfterRefusal(
  context: NodeContext,
  shard: Shard,
  generation: Generation,
  refusal: Parameters<typeof fail>[0],
): Promise<Outcome<ShardManifest>> {
  const current = await context.world.peers.coordinator.manifest(shard.id);
  if (!current.ok) return fail(refusal);
  if (current.value.version > shard.manifest.version) shard.manifest = current.value;
  return isCommitted(shard.manifest, generation) ? succeed(shard.manifest) : fail(refusal);
}

/**
 * Delete files of the segments whose tombstones changed since the manifest's. Fails when one of them was lost since
 * it was opened: a checkpoint past tombstones that no file holds would bring deleted rows back.
 */
async function exportDeletes(context: NodeContext, shard: Shard): Promise<Outcome<ManifestCommit["deletes"]>> {
  const exported: ManifestCommit["deletes"][number][] = [];
  for (const meta of shard.manifest.segments) {
    if (shard.isPartitionDropped(meta.partition)) continue;
    const entry = shard.view.sealed.find((other) => other.meta.id === meta.id);
    // A damaged segment serves nobody, so it may not hold up the log for ever.
    if (entry?.failure !== undefined) continue;
    if (entry?.live !== true) return fail({ kind: "notReady", message: `segment ${meta.id} is not open` });
    const file = await exportSegment(context, shard, meta);
    if (!file.ok) return file;
    if (file.value !== undefined) exported.push(file.value);
  }
  return succeed(exported);
}

async function exportSegment(
  context: NodeContext,
  shard: Shard,
  meta: SealedSegmentMeta,
): Promise<Outcome<ManifestCommit["deletes"][number] | undefined>> {
  const node = await shard.queryNode();
  const deletes = node.ok ? await node.value.exportDeletes(meta.id, shard.term) : node;
  if (!deletes.ok) {
    if (deletes.error.kind === "notReady") await shard.lose([meta.id]);
    return deletes;
  }
  if (deletes.value === undefined) return succeed(undefined);
  const file = await putDeletes(context.engine, context.world.objects, meta, deletes.value);
  return file.ok ? succeed({ segment: meta.id, file: file.value, deletedCount: deletes.value.deletedCount }) : file;
}
