/** Opening what lies in the object store: mapped when the store has plain local files, else read whole. */
import type { NativeFile, NativeSchema, NativeSegment } from "@elanus/engine/addon";
import type { IndexInfo, SealedSegmentMeta, SegmentFile } from "@elanus/model/catalog";
import type { IndexId } from "@elanus/model/id";
import { fail, type Outcome, succeed } from "@elanus/model/outcome";
import type { ObjectStore } from "@elanus/platform/ports/objects";
import { segmentFolder } from "./manifest.ts";
import { attempt, attemptNow, type NativeEngine } from "./native-engine.ts";

const INDEX_ROLE = "index:";

export interface OpenSegment {
  readonly native: NativeSegment;
  /** Key of the attached file by index. */
  readonly attached: ReadonlyMap<IndexId, string>;
}

/** Opens and verifies the data files and the newest delete file; indexes are attached apart. */
export async function openSealed(
  engine: NativeEngine,
  objects: ObjectStore,
  schema: NativeSchema,
  meta: SealedSegmentMeta,
): Promise<Outcome<NativeSegment>> {
  const files: NativeFile[] = [];
  for (const file of meta.files) {
    if (file.role.startsWith(INDEX_ROLE)) continue;
    const located = await locate(objects, file);
    if (!located.ok) return located;
    files.push(located.value);
  }
  const keyOf = (role: string): string =>
    meta.files.find((file) => file.role === role)?.key ??
    `${segmentFolder(meta.collection, meta.shard, meta.id)}${role}`;
  return attempt(() => engine.addon.Segment.open(engine.pool, schema, meta.id, files), keyOf);
}

/** Attaches what `indexes` want and `meta` offers, and detaches the rest. */
export async function attachIndexes(
  engine: NativeEngine,
  objects: ObjectStore,
  segment: OpenSegment,
  wanted: { readonly meta: SealedSegmentMeta; readonly indexes: readonly IndexInfo[] },
): Promise<Outcome<OpenSegment>> {
  const attached = new Map(segment.attached);
  const offered = indexFiles(wanted.meta, wanted.indexes);
  for (const [index, { file, info }] of offered) {
    if (attached.get(index) === file.key) continue;
    const located = await locate(objects, file);
    if (!located.ok) return located;
    const native: NativeFile = { ...located.value, field: info.field };
    const done = await attempt(
      () => segment.native.attachIndex(engine.pool, index, native),
      () => file.key,
    );
    if (!done.ok) return done;
    attached.set(index, file.key);
  }
  for (const index of segment.attached.keys()) {
    if (offered.has(index)) continue;
    const done = attemptNow(() => segment.native.detachIndex(index));
    if (!done.ok) return done;
    attached.delete(index);
  }
  return succeed({ native: segment.native, attached });
}

/** Index files of a segment by index, for the indexes that are wanted. */
export function indexFiles(
  meta: SealedSegmentMeta,
  indexes: readonly IndexInfo[],
): ReadonlyMap<IndexId, { readonly file: SegmentFile; readonly info: IndexInfo }> {
  const found = new Map<IndexId, { file: SegmentFile; info: IndexInfo }>();
  for (const info of indexes) {
    const state = meta.indexes.find((entry) => entry.index === info.id)?.state;
    const role = `${INDEX_ROLE}${info.id}`;
    const file = state?.kind === "finished" ? state.file : meta.files.find((entry) => entry.role === role);
    if (file !== undefined) found.set(info.id, { file, info });
  }
  return found;
}

async function locate(objects: ObjectStore, file: SegmentFile): Promise<Outcome<NativeFile>> {
  const { role, crc32c, bytes } = file;
  const path = objects.localPath(file.key);
  if (path !== undefined) return succeed({ role, crc32c, bytes, path });
  const content = await objects.get(file.key);
  if (!content.ok) return content;
  if (content.value === undefined) {
    return fail({ kind: "fileCorrupt", file: file.key, message: "the object is missing" });
  }
  return succeed({ role, crc32c, bytes, content: content.value });
}
