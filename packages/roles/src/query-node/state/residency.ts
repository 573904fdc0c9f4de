/** What a load request asks of a segment that may be open already. */
import type { SealedSegmentMeta, SegmentFile } from "@elanus/model/catalog";

export type LoadStep =
  | { readonly kind: "open" }
  /** Open already; `deletes` is a delete file with tombstones that memory does not hold yet. */
  | { readonly kind: "refresh"; readonly deletes: SegmentFile | undefined };

/** Tombstones only ever join, so their count tells which of two sets is the newer. */
export function loadStep(
  open: { readonly meta: SealedSegmentMeta; readonly deletedCount: number } | undefined,
  wanted: SealedSegmentMeta,
): LoadStep {
  if (open === undefined) return { kind: "open" };
  const file = deleteFileOf(wanted);
  const known = deleteFileOf(open.meta);
  const newer = file !== undefined && file.key !== known?.key && wanted.deletedCount > open.deletedCount;
  return { kind: "refresh", deletes: newer ? file : undefined };
}

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
