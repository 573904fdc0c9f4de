/**
 * One shard: its growing generations, the view that reads take, and the entries of the log applied in order.
 *
 * `actor` serialises everything that changes rows or the view. `maintenance` serialises the slow work around it
 * (flush, opening sealed segments), which enters the actor only for its short steps.
 */
import type { IndexInfo, LoadState, SealedSegmentMeta, ShardManifest } from "@elanus/model/catalog";
import type { QueryNodeContract } from "@elanus/model/contract/query-node";
import type { DbError } from "@elanus/model/error";
import type { CollectionId, PartitionId, SegmentId, ShardId, Term } from "@elanus/model/id";
import type { LogEntry } from "@elanus/model/log-record";
import { fail, invariant, type Outcome, succeed } from "@elanus/model/outcome";
import { type CollectionSchema, primaryKeyOf } from "@elanus/model/schema";
import type { Timestamp } from "@elanus/model/time";
import { GrowingSegment } from "@elanus/segment/growing";
import { compileSchema, type NativeEngine, type NativeSchema } from "@elanus/segment/native-engine";
import { Serial } from "../serial.ts";
import type { NodeContext } from "./node-context.ts";
import { noteRecord, type RecordMark, type Unflushed } from "./state/generation.ts";
import { decodeShardSchema } from "./state/shard-schema.ts";
import { type SealedEntry, type Unreferenced, type View, ViewKeeper } from "./state/view.ts";
import { reaches, type Tombstone, TombstoneJournal, tombstoneOf } from "./tombstones.ts";
import { Signal } from "./waiting.ts";

/** Growing segments that are sealed together, so that one log position says what they hold. */
export interface Generation {
  readonly segments: Map<PartitionId, GrowingSegment>;
  unflushed: Unflushed | undefined;
  /** Files written by an earlier attempt to commit it. */
  written: Map<SegmentId, SealedSegmentMeta>;
}

export interface ShardStart {
  readonly id: ShardId;
  /** Term of the channel's ownership. */
  readonly term: Term;
  readonly collection: CollectionId;
  readonly schema: CollectionSchema;
  readonly manifest: ShardManifest;
}

export class Shard {
  readonly id: ShardId;
  /** Of the channel's ownership; the query node tells owners of one shard apart by it. */
  readonly term: Term;
  readonly collection: CollectionId;
  readonly actor: Serial = new Serial();
  readonly maintenance: Serial = new Serial();
  /** Questions about the load state, in order. */
  readonly loadQuestions: Serial = new Serial();
  /** Something a waiting reader may look at again. */
  readonly changed: Signal = new Signal();
  readonly #context: NodeContext;
  readonly #views = new ViewKeeper<GrowingSegment>();
  readonly #journals = new Set<TombstoneJournal>();
  readonly #droppedPartitions = new Set<PartitionId>();
  readonly #generations: Generation[] = [newGeneration()];
  #schema: CollectionSchema;
  #nativeSchema: NativeSchema;
  #bytes = 0;
  /** Place of the next message to the query node; later owners begin above it. */
  #order: bigint;
  #empty: GrowingSegment | undefined;
  manifest: ShardManifest;
  load: LoadState = { kind: "released" };
  indexes: readonly IndexInfo[] = [];
  /** Last record that concerned this shard, applied. */
  applied: RecordMark;
  appliedAtMs: number;
  dropped = false;
  /** A record could not be applied: nothing is served any more, so that no answer is silently wrong. */
  poison: DbError | undefined;
  /** The query node lost segments, or a synchronisation failed: housekeeping tries again. */
  needsSynchronising = false;
  /** The node that serves this shard's sealed segments, as the coordinator placed it. */
  queryNode: () => Outcome<QueryNodeContract> | Promise<Outcome<QueryNodeContract>>;

  constructor(context: NodeContext, start: ShardStart) {
    this.#context = context;
    this.id = start.id;
    this.collection = start.collection;
    this.term = start.term;
    this.#order = BigInt(start.term) << 40n;
    this.#schema = start.schema;
    this.#nativeSchema = compileSchema(context.engine, start.schema);
    this.manifest = start.manifest;
    this.applied = {
      position: start.manifest.checkpoint as RecordMark["position"],
      at: start.manifest.checkpointAt,
    };
    this.appliedAtMs = context.world.clock.monotonicMs();
    this.queryNode = () => this.#findQueryNode();
    this.#views.replace({ growing: [], sealed: start.manifest.segments.map(closedEntry) });
  }

  /** Taken in maintenance, where loads and releases of the shard follow one another. */
  nextOrder(): bigint {
    this.#order += 1n;
    return this.#order;
  }

  get schema(): CollectionSchema {
    return this.#schema;
  }

  get nativeSchema(): NativeSchema {
    return this.#nativeSchema;
  }

  get engine(): NativeEngine {
    return this.#context.engine;
  }

  /** Keys that the server makes are new, so rows under them replace nothing. */
  get insertsReplace(): boolean {
    return !primaryKeyOf(this.#schema).autoId;
  }

  get view(): View<GrowingSegment> {
    return this.#views.current;
  }

  get growingBytes(): number {
    return this.#bytes;
  }

  get currentBytes(): number {
    return sumBytes(this.#current.segments.values());
  }

  /** The oldest records that are not in the manifest. */
  get unflushed(): Unflushed | undefined {
    return this.#generations.find((generation) => generation.unflushed !== undefined)?.unflushed;
  }

  get #current(): Generation {
    const current = this.#generations.at(-1);
    invariant(current !== undefined, "a shard has a generation that grows");
    return current;
  }

  async #findQueryNode(): Promise<Outcome<QueryNodeContract>> {
    const { peers } = this.#context.world;
    const placed = await peers.coordinator.placement([this.id]);
    if (!placed.ok) return placed;
    const place = placed.value.find((entry) => entry.shard === this.id);
    if (place === undefined) return fail({ kind: "notReady", message: `shard ${this.id} is not placed` });
    // The place stays, the node behind it may be started anew.
    this.queryNode = () => succeed(peers.queryNode(place.queryNode));
    return this.queryNode();
  }

  // Applying the log

  /** Applies all entries of one record for this shard; readers see them when the channel's tick moves. */
  apply(mark: RecordMark, entries: readonly LogEntry[]): Promise<Outcome<void>> {
    return this.actor.run(async () => {
      for (const entry of entries) {
        const applied = await this.#applyEntry(entry, mark.at);
        if (!applied.ok) {
          this.poison = applied.error;
          this.changed.notify();
          return applied;
        }
      }
      this.applied = mark;
      this.appliedAtMs = this.#context.world.clock.monotonicMs();
      if (entries.some((entry) => entry.kind === "insert" || entry.kind === "delete")) {
        const current = this.#current;
        current.unflushed = noteRecord(current.unflushed, mark, this.appliedAtMs);
      }
      this.#countBytes();
      return succeed(undefined);
    });
  }

  async #applyEntry(entry: LogEntry, at: Timestamp): Promise<Outcome<void>> {
    if (this.dropped) return succeed(undefined);
    switch (entry.kind) {
      case "insert":
        return this.#applyInsert(entry, at);
      case "delete":
        return this.#bury({ keys: entry.keys, at, partition: entry.partition });
      case "createShard":
        return this.#changeSchema(entry.schema);
      case "dropShard":
        this.#drop();
        return succeed(undefined);
      case "dropPartition":
        this.#dropPartition(entry.partition);
        return succeed(undefined);
      default:
        return entry satisfies never;
    }
  }

  async #applyInsert(entry: Extract<LogEntry, { kind: "insert" }>, at: Timestamp): Promise<Outcome<void>> {
    if (this.#droppedPartitions.has(entry.partition)) return succeed(undefined);
    const segment = await this.#growingOf(entry.partition);
    if (!segment.ok) return segment;
    const appended = segment.value.append(entry.rows, at);
    if (!appended.ok) return appended;
    if (!this.insertsReplace || !this.#hasOthers(segment.value)) return succeed(undefined);
    const tombstone = tombstoneOf(this, entry, at);
    if (!tombstone.ok) return tombstone;
    return tombstone.value === undefined ? succeed(undefined) : this.#bury(tombstone.value, segment.value);
  }

  /** Whether older rows of a key could lie anywhere but in this growing segment. */
  #hasOthers(segment: GrowingSegment): boolean {
    const { growing, sealed } = this.view;
    return this.#journals.size > 0 || growing.some((other) => other !== segment) || sealed.some((entry) => entry.live);
  }

  async #growingOf(partition: PartitionId): Promise<Outcome<GrowingSegment>> {
    const known = this.#current.segments.get(partition);
    if (known !== undefined) return succeed(known);
    const id = await this.#context.nextSegmentId();
    if (id === undefined) return fail({ kind: "notReady", message: "the streaming node is stopping" });
    const identity = { id, collection: this.collection, partition, shard: this.id };
    const segment = new GrowingSegment(this.engine, this.#nativeSchema, identity);
    this.#current.segments.set(partition, segment);
    this.#setView({ ...this.view, growing: [...this.view.growing, segment] });
    return succeed(segment);
  }

  /** Gives a tombstone to every segment that may hold its keys. */
  async #bury(tombstone: Tombstone, except?: GrowingSegment): Promise<Outcome<void>> {
    const { growing, sealed } = this.view;
    for (const segment of growing) {
      if (segment === except || !reaches(tombstone, segment.identity.partition)) continue;
      const deleted = segment.delete(tombstone.keys, tombstone.at);
      if (!deleted.ok) return deleted;
    }
    for (const journal of this.#journals) journal.add(tombstone);
    const live = sealed.filter((entry) => entry.live && reaches(tombstone, entry.meta.partition));
    const ids = live.map((entry) => entry.meta.id);
    if (ids.length === 0) return succeed(undefined);
    const node = await this.queryNode();
    const applied = node.ok
      ? await node.value.applyDeletes({ ids, term: this.term }, tombstone.keys, tombstone.at)
      : node;
    // The log still has the tombstone: the segments get it when they are opened again.
    if (!applied.ok) this.#setLost(ids);
    return succeed(undefined);
  }

  #changeSchema(text: string): Outcome<void> {
    const schema = decodeShardSchema(text);
    if (schema === undefined) return fail({ kind: "internal", message: `schema of ${this.id} cannot be read` });
    if (schema.version <= this.#schema.version) return succeed(undefined);
    this.#schema = schema;
    this.#nativeSchema = compileSchema(this.engine, schema);
    this.#empty = undefined;
    if (this.#current.segments.size > 0) this.#generations.push(newGeneration());
    return succeed(undefined);
  }

  #drop(): void {
    this.dropped = true;
    this.#generations.splice(0, this.#generations.length, newGeneration());
    this.#setView({ growing: [], sealed: [] });
  }

  #dropPartition(partition: PartitionId): void {
    this.#droppedPartitions.add(partition);
    for (const generation of this.#generations) generation.segments.delete(partition);
    this.#setView({
      growing: this.view.growing.filter((segment) => segment.identity.partition !== partition),
      sealed: this.view.sealed.filter((entry) => entry.meta.partition !== partition),
    });
  }

  isPartitionDropped(partition: PartitionId): boolean {
    return this.#droppedPartitions.has(partition);
  }

  /** For reads that find no segment. It has no id of its own because no hit can lie in it. */
  emptySegment(): GrowingSegment {
    const identity = { id: 0n as SegmentId, collection: this.collection, partition: 0n as PartitionId, shard: this.id };
    this.#empty ??= new GrowingSegment(this.engine, this.#nativeSchema, identity);
    return this.#empty;
  }

  // Generations

  /** Ends the growing generation. Runs in the actor, so a record lies wholly on one side. */
  rotate(): Promise<void> {
    return this.actor.run(() => {
      if (this.#current.unflushed !== undefined) this.#generations.push(newGeneration());
    });
  }

  /** The oldest generation that waits to be committed. */
  oldestSealing(): Generation | undefined {
    return this.#generations.length > 1 ? this.#generations[0] : undefined;
  }

  // Views

  /** A view for one read; `letGo` when the read no longer needs its segments. */
  hold(): { readonly view: View<GrowingSegment>; readonly letGo: () => void } {
    const view = this.#views.hold();
    let isHeld = true;
    const letGo = (): void => {
      if (!isHeld) return;
      isHeld = false;
      this.#close(this.#views.release(view));
    };
    return { view, letGo };
  }

  /** Generations whose rows the manifest holds: they leave the view when the sealed segments enter it. */
  committedGenerations(): readonly Generation[] {
    const { checkpoint } = this.manifest;
    return this.#generations.slice(0, -1).filter(({ unflushed }) => (unflushed?.last.position ?? 0n) <= checkpoint);
  }

  /** Replaces the sealed part and forgets generations whose rows it now holds, in one step. Actor only. */
  handOver(sealed: readonly SealedEntry[], retired: readonly Generation[]): void {
    let { growing } = this.view;
    for (const generation of retired) {
      invariant(this.#generations[0] === generation, "generations are handed over in order");
      this.#generations.shift();
      const gone = new Set(generation.segments.values());
      growing = growing.filter((segment) => !gone.has(segment));
    }
    const kept = sealed.filter((entry) => !this.#droppedPartitions.has(entry.meta.partition));
    this.#setView(this.dropped ? { growing: [], sealed: [] } : { growing, sealed: kept });
  }

  /** The query node no longer has these segments, or missed a tombstone. */
  lose(ids: readonly SegmentId[]): Promise<void> {
    return this.actor.run(() => this.#setLost(ids));
  }

  #setLost(ids: readonly SegmentId[]): void {
    const lost = new Set(ids);
    const sealed = this.view.sealed.map((entry) => (lost.has(entry.meta.id) ? closedEntry(entry.meta) : entry));
    this.#setView({ ...this.view, sealed });
    this.needsSynchronising = true;
    this.#context.attention.notify();
  }

  #setView(view: View<GrowingSegment>): void {
    this.#close(this.#views.replace(view));
    this.#countBytes();
    this.changed.notify();
  }

  #close(unreferenced: Unreferenced<GrowingSegment>): void {
    for (const segment of unreferenced.growing) segment.close();
    if (unreferenced.sealed.length === 0) return;
    // Behind running maintenance, which may be about to open the same segment again.
    void this.maintenance.run(async () => {
      const ids = unreferenced.sealed.filter((id) => !this.#views.names(id));
      const node = ids.length > 0 ? await this.queryNode() : undefined;
      if (node?.ok) await node.value.release(ids, this.nextOrder());
    });
  }

  #countBytes(): void {
    const bytes = sumBytes(this.view.growing);
    this.#context.growingBytes += bytes - this.#bytes;
    this.#bytes = bytes;
  }

  // Catching up of segments that are being opened

  /** From here on tombstones are kept for segments that are being opened. */
  openJournal(): Promise<{ readonly journal: TombstoneJournal; readonly applied: RecordMark }> {
    return this.actor.run(() => {
      const journal = new TombstoneJournal();
      this.#journals.add(journal);
      return { journal, applied: this.applied };
    });
  }

  closeJournal(journal: TombstoneJournal): void {
    this.#journals.delete(journal);
  }

  /** Frees the native memory at the end of the node; sealed segments belong to the query node. */
  closeAll(): void {
    this.#setView({ growing: [], sealed: this.view.sealed });
    this.#empty?.close();
  }
}

export function closedEntry(meta: SealedSegmentMeta): SealedEntry {
  return { meta, live: false };
}

function newGeneration(): Generation {
  return { segments: new Map(), unflushed: undefined, written: new Map() };
}

function sumBytes(segments: Iterable<GrowingSegment>): number {
  let bytes = 0;
  for (const segment of segments) bytes += segment.byteSize;
  return bytes;
}
