/**
 * Brings the sealed part of a shard's view to its manifest: opens what is wanted, lets it catch up with the
 * tombstones that are only in the log, and switches the view in one step. Hand-over from growing to sealed,
 * compaction, load, release and recovery are all this one act. Runs in the shard's maintenance.
 */
import type { SealedSegmentMeta } from "@elanus/model/catalog";
import type { QueryNodeContract } from "@elanus/model/contract/query-node";
import type { ChannelName, LogPosition, SegmentId, Term } from "@elanus/model/id";
import { decodeLogRecord } from "@elanus/model/log-record";
import { fail, type Outcome, succeed } from "@elanus/model/outcome";
import { indexFiles } from "@elanus/segment/sealed";
import type { NodeContext } from "./node-context.ts";
import { closedEntry, type Shard } from "./shard.ts";
import { type Attachment, isWanted, type SealedEntry } from "./state/view.ts";
import { reaches, type Tombstone, type TombstoneJournal, tombstoneOf } from "./tombstones.ts";

/** Segments that are opened at once; verifying a segment reads all of it. */
const OPENED_AT_ONCE = 4;

export interface Synchronisation {
  readonly channel: ChannelName;
  /**
   * `wanted`: what the load state names. `all`: released segments too, because a flush must give them their
   * tombstones. `live`: besides the wanted ones those that are open, so that the next flush finds them.
   */
  readonly open: "wanted" | "all" | "live";
}

/**
 * Fails when a wanted segment could not be opened for a reason that may pass; the view is then as useful as
 * before. A damaged segment is no such reason: it is named, left closed, and the others are served.
 */
export async function synchronise(context: NodeContext, shard: Shard, task: Synchronisation): Promise<Outcome<void>> {
  const wanted = shard.manifest.segments.filter((meta) => isToBeOpen(shard, task, meta));
  const opening = wanted.filter((meta) => !isLive(shard, meta.id));
  const refreshed = await loadAll(
    shard,
    stale(shard, wanted).filter((meta) => isLive(shard, meta.id)),
  );
  const lost = [...refreshed].filter(([, outcome]) => !outcome.ok && outcome.error.kind === "notReady");
  if (lost.length > 0) return loseAll(shard, lost);
  if (opening.length === 0) return switchView(shard, task, refreshed);
  const { journal, applied } = await shard.openJournal();
  try {
    const loaded = new Map([...refreshed, ...(await loadAll(shard, opening))]);
    const opened = opening.filter((meta) => loaded.get(meta.id)?.ok);
    const caughtUp = await replayTail(context, shard, { channel: task.channel, opened, upTo: applied.position });
    if (!caughtUp.ok) return caughtUp;
    const drained = await drain(shard, opened, journal);
    if (!drained.ok) return drained;
    return await switchView(shard, task, loaded, { journal, opened });
  } finally {
    shard.closeJournal(journal);
  }
}

function isToBeOpen(shard: Shard, task: Synchronisation, meta: SealedSegmentMeta): boolean {
  if (task.open === "all" || isWanted(shard.load, meta.partition)) return true;
  return task.open === "live" && isLive(shard, meta.id);
}

/** The query node was started anew: its segments are opened from the beginning, next time. */
async function loseAll(shard: Shard, lost: readonly (readonly [SegmentId, Outcome<void>])[]): Promise<Outcome<void>> {
  await shard.lose(lost.map(([id]) => id));
  return lost[0]?.[1] ?? succeed(undefined);
}

type Loaded = ReadonlyMap<SegmentId, Outcome<void>>;

function isLive(shard: Shard, id: SegmentId): boolean {
  return shard.view.sealed.some((entry) => entry.live && entry.meta.id === id);
}

/** Those that the query node does not hold with these very files. */
function stale(shard: Shard, wanted: readonly SealedSegmentMeta[]): readonly SealedSegmentMeta[] {
  return wanted.filter((meta) => {
    const entry = shard.view.sealed.find((other) => other.live && other.meta.id === meta.id);
    const { deletes, indexes } = attachmentOf(shard, meta);
    return entry?.attached?.deletes !== deletes || entry.attached.indexes !== indexes;
  });
}

/** Names what a load attaches. */
function attachmentOf(shard: Shard, meta: SealedSegmentMeta): Attachment {
  const indexes = [...indexFiles(meta, shard.indexes).values()].map(({ file }) => file.key).join(" ");
  return { deletes: meta.files.find((file) => file.role === "deletes")?.key ?? "", indexes };
}

/** Open with every index that exists for it and that the load state wants. */
export function isFullyOpen(shard: Shard, meta: SealedSegmentMeta): boolean {
  const entry = shard.view.sealed.find((other) => other.meta.id === meta.id);
  return entry?.live === true && entry.attached?.indexes === attachmentOf(shard, meta).indexes;
}

/** `isCaughtUp`: they are open and hold every tombstone, so reads may begin. */
async function loadAll(shard: Shard, metas: readonly SealedSegmentMeta[], isCaughtUp = false): Promise<Loaded> {
  const loaded = new Map<SegmentId, Outcome<void>>();
  if (metas.length === 0) return loaded;
  const node = await shard.queryNode();
  const order = shard.nextOrder();
  // Sources of a compaction are those that are served but no longer in the manifest.
  const kept = new Set(shard.manifest.segments.map((meta) => meta.id));
  const carryFrom = shard.view.sealed
    .filter((entry) => entry.live && !kept.has(entry.meta.id))
    .map((entry) => entry.meta.id);
  for (let index = 0; index < metas.length; index += OPENED_AT_ONCE) {
    const batch = metas.slice(index, index + OPENED_AT_ONCE);
    await Promise.all(
      batch.map(async (meta) => {
        const { schema, indexes, term } = shard;
        const refresh = isCaughtUp || isLive(shard, meta.id);
        const request = { schema, meta, indexes, carryFrom, refresh, term, order };
        const outcome = node.ok ? await node.value.load(request) : node;
        loaded.set(meta.id, outcome);
      }),
    );
  }
  return loaded;
}

/** Tombstones of records between the manifest's checkpoint and what was applied when the journal began. */
async function replayTail(
  context: NodeContext,
  shard: Shard,
  tail: {
    readonly channel: ChannelName;
    readonly opened: readonly SealedSegmentMeta[];
    readonly upTo: LogPosition;
  },
): Promise<Outcome<void>> {
  const from = shard.manifest.checkpoint as LogPosition;
  if (tail.opened.length === 0 || tail.upTo <= from) return succeed(undefined);
  const node = await shard.queryNode();
  if (!node.ok) return node;
  for await (const frame of context.world.log.read(tail.channel, from)) {
    if (!frame.ok) return frame;
    if (frame.value.position > tail.upTo) break;
    const record = decodeLogRecord(frame.value.bytes, `log ${tail.channel}`);
    if (!record.ok) return record;
    for (const entry of record.value.entries) {
      if (entry.shard !== shard.id) continue;
      const tombstone = tombstoneOf(shard, entry, record.value.at);
      if (!tombstone.ok) return tombstone;
      if (tombstone.value === undefined) continue;
      const buried = await bury(node.value, shard.term, tail.opened, [tombstone.value]);
      if (!buried.ok) return buried;
    }
  }
  return succeed(undefined);
}

/** Most of the journal outside the actor, so that the last step in it is short. */
async function drain(
  shard: Shard,
  opened: readonly SealedSegmentMeta[],
  journal: TombstoneJournal,
): Promise<Outcome<void>> {
  const node = await shard.queryNode();
  if (!node.ok) return node;
  return bury(node.value, shard.term, opened, journal.take());
}

async function bury(
  node: QueryNodeContract,
  term: Term,
  segments: readonly SealedSegmentMeta[],
  tombstones: readonly Tombstone[],
): Promise<Outcome<void>> {
  for (const tombstone of tombstones) {
    const ids = segments.filter((meta) => reaches(tombstone, meta.partition)).map((meta) => meta.id);
    if (ids.length === 0) continue;
    const applied = await node.applyDeletes({ ids, term }, tombstone.keys, tombstone.at);
    if (!applied.ok) return applied;
  }
  return succeed(undefined);
}

async function switchView(
  shard: Shard,
  task: Synchronisation,
  loaded: Loaded,
  catchUp?: { readonly journal: TombstoneJournal; readonly opened: readonly SealedSegmentMeta[] },
): Promise<Outcome<void>> {
  const failures = [...loaded.values()].flatMap((outcome) => (outcome.ok ? [] : [outcome.error]));
  const passing = failures.find((error) => error.kind !== "fileCorrupt");
  return shard.actor.run(async () => {
    const retired = shard.committedGenerations();
    // Rows that a failed segment replaces are still served by its sources or its generation: keep them.
    const isNew = (id: SegmentId): boolean => !shard.view.sealed.some((entry) => entry.meta.id === id);
    const missing = [...loaded].find(([id, outcome]) => !outcome.ok && isNew(id))?.[1];
    if (missing !== undefined && (retired.length > 0 || servesReplaced(shard))) return missing;
    if (catchUp !== undefined) {
      const drained = await drain(shard, catchUp.opened, catchUp.journal);
      if (!drained.ok) return drained;
      const opened = await loadAll(shard, catchUp.opened, true);
      const refused = [...opened.values()].find((outcome) => !outcome.ok);
      if (refused !== undefined) return refused;
    }
    const caughtUp = new Set(catchUp?.opened.map((meta) => meta.id));
    shard.handOver(entriesOf(shard, task, loaded, caughtUp), retired);
    return passing === undefined ? succeed(undefined) : fail(passing);
  });
}

function servesReplaced(shard: Shard): boolean {
  const kept = new Set(shard.manifest.segments.map((meta) => meta.id));
  return shard.view.sealed.some((entry) => entry.live && !kept.has(entry.meta.id));
}

function entriesOf(
  shard: Shard,
  task: Synchronisation,
  loaded: Loaded,
  caughtUp: ReadonlySet<SegmentId>,
): readonly SealedEntry[] {
  return shard.manifest.segments.map((meta) => {
    const before = shard.view.sealed.find((entry) => entry.meta.id === meta.id);
    if (!isToBeOpen(shard, task, meta)) return closedEntry(meta);
    const outcome = loaded.get(meta.id);
    // Not asked for: it was open with these files, or the load state changed while others were being opened.
    if (outcome === undefined) return before?.live ? { ...before, meta } : closedEntry(meta);
    // What was live before the refresh may have missed a tombstone during it: then it is to be opened again.
    const isLive = caughtUp.has(meta.id) || before?.live === true;
    if (outcome.ok) return isLive ? { meta, live: true, attached: attachmentOf(shard, meta) } : closedEntry(meta);
    // A refresh that failed leaves the segment served as it was.
    if (before?.live) return before;
    return outcome.error.kind === "fileCorrupt" ? { ...closedEntry(meta), failure: outcome.error } : closedEntry(meta);
  });
}
