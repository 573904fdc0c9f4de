/** Builds one index of one sealed segment and writes its file. */
import type { NativeProgress } from "@elanus/engine/addon";
import type { BuildIndexJob } from "@elanus/model/contract/data-node";
import type { SegmentFile } from "@elanus/model/catalog";
import type { Outcome } from "@elanus/model/outcome";
import type { ObjectStore } from "@elanus/platform/ports/objects";
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
    const bytes = await attempt(() => engine.addon.buildIndex(engine.pool, opened.value, build, settings.progress));
    if (!bytes.ok) return bytes;
    const role = `index:${job.index.id}`;
    return await putFile(engine, objects, segmentFileKey(job.segment, role, String(job.build)), role, bytes.value);
  } finally {
    opened.value.close();
  }
}
