/** Merges sealed segments into one: dead rows past retention go, the rest is sorted by key. */
import type { CompactJob } from "@elanus/model/contract/data-node";
import type { SealedSegmentMeta } from "@elanus/model/catalog";
import type { NativeSegment } from "@elanus/engine/addon";
import { invariant, type Outcome, succeed } from "@elanus/model/outcome";
import type { ObjectStore } from "@elanus/platform/ports/objects";
import { attempt, compileSchema, type NativeEngine } from "./native-engine.ts";
import { openSealed } from "./sealed.ts";
import { writeSegment } from "./write-segment.ts";

/** Undefined when no row is left. */
export async function compactSegments(
  engine: NativeEngine,
  objects: ObjectStore,
  job: CompactJob,
): Promise<Outcome<SealedSegmentMeta | undefined>> {
  const schema = compileSchema(engine, job.schema);
  const sources: NativeSegment[] = [];
  try {
    for (const meta of job.sources) {
      const opened = await openSealed(engine, objects, schema, meta);
      if (!opened.ok) return opened;
      sources.push(opened.value);
    }
    const merged = await attempt(() =>
      engine.addon.Segment.merge(engine.pool, schema, job.target, sources, job.dropBefore, job.expired),
    );
    if (!merged.ok) return merged;
    return await writeMerged(engine, objects, job, merged.value);
  } finally {
    for (const source of sources) source.close();
  }
}

async function writeMerged(
  engine: NativeEngine,
  objects: ObjectStore,
  job: CompactJob,
  merged: NativeSegment,
): Promise<Outcome<SealedSegmentMeta | undefined>> {
  const [first] = job.sources;
  invariant(first !== undefined, "a compaction has sources");
  const { collection, partition, shard } = first;
  invariant(
    job.sources.every((source) => source.shard === shard && source.partition === partition),
    "sources of a compaction lie in one partition of one shard",
  );
  try {
    if (merged.rowCount === 0) return succeed(undefined);
    const identity = { id: job.target, collection, partition, shard };
    return await writeSegment(engine, objects, identity, merged, true);
  } finally {
    merged.close();
  }
}
