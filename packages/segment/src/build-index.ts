/** Builds one index of one sealed segment and writes its file. */
import type { NativeProgress } from "@elanus/engine/addon";
import type { BuildIndexJob } from "@elanus/model/contract/data-node";
import type { SegmentFile } from "@elanus/model/catalog";
import { type Failure, type Outcome, succeed } from "@elanus/model/outcome";
import type { ObjectStore, StagedObject } from "@elanus/platform/ports/objects";
import { segmentFileKey } from "./manifest.ts";
import { attempt, compileSchema, type NativeEngine } from "./native-engine.ts";
import { openSealed } from "./sealed.ts";
import { putFile } from "./write-segment.ts";

export interface BuildSettings {
  readonly threads: number;
  readonly progress: NativeProgress;
}

export async function buildIndex(
  engine: NativeEngine,
  objects: ObjectStore,
  job: BuildIndexJob,
  settings: BuildSettings,
): Promise<Outcome<SegmentFile>> {
  const opened = await openSealed(engine, objects, compileSchema(engine, job.schema), job.segment);
  if (!opened.ok) return opened;
  const { field, type, metric, params } = job.index;
  const build = {
    field,
    type,
    params: JSON.stringify(params),
    threads: settings.threads,
    ...(metric === undefined ? {} : { metric }),
  };
  try {
    const role = `index:${job.index.id}`;
    const key = segmentFileKey(job.segment, role, String(job.build));
    const staged = objects.stage(key);
    if (staged === undefined) {
      const bytes = await attempt(() => engine.addon.buildIndex(engine.pool, opened.value, build, settings.progress));
      return bytes.ok ? await putFile(engine, objects, key, role, bytes.value) : bytes;
    }
    const written = await attempt(() =>
      engine.addon.buildIndexFile(engine.pool, opened.value, build, settings.progress, staged.path),
    );
    if (!written.ok) return await discarded(staged, written);
    const placed = await staged.place();
    return placed.ok ? succeed({ key, role, ...written.value }) : await discarded(staged, placed);
  } finally {
    opened.value.close();
  }
}

async function discarded(staged: StagedObject, failure: Failure): Promise<Failure> {
  await staged.discard();
  return failure;
}
