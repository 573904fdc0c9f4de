/** What a load request asks of a segment that may be open already. */
import type { SealedSegmentMeta, SegmentFile } from "@elanus/model/catalog";

export type LoadStep =
  | { readonly kind: "open" }
  /** Open already; `deletes` is a delete file with tombstones that memory does not hold yet. */
  | { readonly kind: "refresh"; readonly deletes: SegmentFile | undefined };

/** A delete file that was neither read nor written here may hold tombstones of an earlier owner. */
export function loadStep(
  open: { readonly meta: SealedSegmentMeta; readonly exported: SegmentFileMark | undefined } | undefined,
  wanted: SealedSegmentMeta,
): LoadStep {
  if (open === undefined) return { kind: "open" };
  const file = deleteFileOf(wanted);
  const isKnown =
    file === undefined ||
    file.key === deleteFileOf(open.meta)?.key ||
    (file.crc32c === open.exported?.crc32c && file.bytes === open.exported.bytes);
  return { kind: "refresh", deletes: isKnown ? undefined : file };
}

/** What tells the content of a file that this node exported. */
export type SegmentFileMark = Pick<SegmentFile, "crc32c" | "bytes">;

/** Whether memory holds tombstones that the segment's newest delete file lacks. */
export function exportIsDue(open: { readonly meta: SealedSegmentMeta; readonly deletedCount: number }): boolean {
  return open.deletedCount > open.meta.deletedCount;
}

/** The newest manifest entry wins when a late answer brings an older one. */
export function newerMeta(known: SealedSegmentMeta, offered: SealedSegmentMeta): SealedSegmentMeta {
  return offered.deletedCount >= known.deletedCount ? offered : known;
}

function deleteFileOf(meta: SealedSegmentMeta): SegmentFile | undefined {
  return meta.files.find((file) => file.role === "deletes");
}
