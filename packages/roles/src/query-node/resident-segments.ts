/** The sealed segments that are open on this node, by id. */
import type { SealedSegmentMeta, SegmentFile } from "@elanus/model/catalog";
import type { LoadSegment, OwnedSegments } from "@elanus/model/contract/query-node";
import type { DbError } from "@elanus/model/error";
import type { SegmentId, ShardId, Term } from "@elanus/model/id";
import { fail, type Outcome, succeed } from "@elanus/model/outcome";
import type { ObjectStore } from "@elanus/platform/ports/objects";
import {
  attemptNow,
  compileSchema,
  type NativeEngine,
  type NativeSchema,
  type NativeSegment,
} from "@elanus/segment/native-engine";
import { attachIndexes, type OpenSegment, openSealed } from "@elanus/segment/sealed";
import { KeyedSerial } from "../serial.ts";
import { exportIsDue, loadStep, newerMeta, type SegmentFileMark } from "./state/residency.ts";

interface Resident {
  /** Who opened it or took it over. */
  owner: Term;
  /** That owner has brought it up to date; before that a reader with an old view would see dead rows. */
  isReadable: boolean;
  meta: SealedSegmentMeta;
  /** The newest export, so that the manifest's naming it needs no reading. */
  exported: SegmentFileMark | undefined;
  open: OpenSegment;
}

export class ResidentSegments {
  readonly #engine: NativeEngine;
  readonly #objects: ObjectStore;
  readonly #residents = new Map<SegmentId, Resident>();
  readonly #loads = new KeyedSerial<SegmentId>();
  readonly #schemas = new Map<string, NativeSchema>();
  /** The newest message of each shard. */
  readonly #orders = new Map<ShardId, bigint>();
  #closed = false;

  constructor(engine: NativeEngine, objects: ObjectStore) {
    this.#engine = engine;
    this.#objects = objects;
  }

  get count(): number {
    return this.#residents.size;
  }

  load(request: LoadSegment): Promise<Outcome<void>> {
    return this.#loads.run(request.meta.id, () => this.#load(request));
  }

  async #load(request: LoadSegment): Promise<Outcome<void>> {
    if (this.#closed) return fail({ kind: "notReady", message: "the query node is stopping" });
    const { id, shard } = request.meta;
    if (!this.#isInOrder(shard, request.order)) return fail({ kind: "fenced", channel: shard });
    const known = this.#residents.get(id);
    const step = loadStep(known, request.meta);
    const isOwned = known?.owner === request.term;
    if (request.refresh && !isOwned) return fail(notOpen(id));
    if (step.kind === "open" || known === undefined) return this.#open(request);
    if (!isOwned) known.isReadable = false;
    known.owner = request.term;
    if (step.deletes !== undefined) {
      const imported = await this.#importDeletes(known.open.native, step.deletes);
      if (!imported.ok) return imported;
    }
    const attached = await attachIndexes(this.#engine, this.#objects, known.open, request);
    if (!attached.ok) return attached;
    known.open = attached.value;
    known.isReadable ||= request.refresh;
    known.meta = newerMeta(known.meta, request.meta);
    return this.#carry(known, request.carryFrom);
  }

  async #open(request: LoadSegment): Promise<Outcome<void>> {
    const schema = this.#schemaOf(request);
    const native = await openSealed(this.#engine, this.#objects, schema, request.meta);
    if (!native.ok) return native;
    const bare = { native: native.value, attached: new Map() };
    const attached = await attachIndexes(this.#engine, this.#objects, bare, request);
    if (!attached.ok) {
      native.value.close();
      return attached;
    }
    const resident: Resident = {
      owner: request.term,
      isReadable: false,
      meta: request.meta,
      open: attached.value,
      exported: undefined,
    };
    const carried = this.#carry(resident, request.carryFrom);
    if (!carried.ok || this.#closed) {
      native.value.close();
      return carried.ok ? fail({ kind: "notReady", message: "the query node is stopping" }) : carried;
    }
    this.#residents.set(request.meta.id, resident);
    return succeed(undefined);
  }

  /** A tombstone of a source holds for the same row here whenever it came, so all of them are carried. */
  #carry(target: Resident, sources: readonly SegmentId[]): Outcome<void> {
    for (const id of sources) {
      const source = this.#residents.get(id);
      if (source === undefined || id === target.meta.id) continue;
      const carried = attemptNow(() => target.open.native.carryDeletes(source.open.native, 0n));
      if (!carried.ok) return carried;
    }
    return succeed(undefined);
  }

  async #importDeletes(native: NativeSegment, file: SegmentFile): Promise<Outcome<void>> {
    const content = await this.#objects.get(file.key);
    if (!content.ok) return content;
    const bytes = content.value;
    const intact =
      bytes !== undefined && bytes.length === file.bytes && this.#engine.addon.crc32c(bytes) === file.crc32c;
    if (!intact) {
      return fail({ kind: "fileCorrupt", file: file.key, message: "the delete file is missing or damaged" });
    }
    return attemptNow(
      () => native.importDeletes(bytes),
      () => file.key,
    );
  }

  #isInOrder(shard: ShardId, order: bigint): boolean {
    if (order < (this.#orders.get(shard) ?? 0n)) return false;
    this.#orders.set(shard, order);
    return true;
  }

  #schemaOf(request: LoadSegment): NativeSchema {
    const key = `${request.meta.collection}:${request.schema.version}`;
    const known = this.#schemas.get(key);
    if (known !== undefined) return known;
    const compiled = compileSchema(this.#engine, request.schema);
    this.#schemas.set(key, compiled);
    return compiled;
  }

  /** Waits for a running load of the same segment, so that a late load cannot bring it back. */
  async release(ids: readonly SegmentId[], order: bigint): Promise<void> {
    for (const id of ids) {
      await this.#loads.run(id, () => {
        const resident = this.#residents.get(id);
        if (resident !== undefined && !this.#isInOrder(resident.meta.shard, order)) return;
        resident?.open.native.close();
        this.#residents.delete(id);
      });
    }
    if (this.#residents.size === 0) this.#schemas.clear();
  }

  /** Like `findOwned`, but only what its owner has brought up to date. */
  findReadable(segments: readonly OwnedSegments[]): Outcome<readonly NativeSegment[]> {
    const found: NativeSegment[] = [];
    for (const { ids, term } of segments) {
      for (const id of ids) {
        const resident = this.#owned(id, term);
        if (!resident?.isReadable) return fail(notOpen(id));
        found.push(resident.open.native);
      }
    }
    return succeed(found);
  }

  /** Like `find`, but only what this owner has opened. */
  findOwned({ ids, term }: OwnedSegments): Outcome<readonly NativeSegment[]> {
    const foreign = ids.find((id) => this.#owned(id, term) === undefined);
    return foreign === undefined ? this.find(ids) : fail(notOpen(foreign));
  }

  #owned(id: SegmentId, term: Term): Resident | undefined {
    const resident = this.#residents.get(id);
    return resident?.owner === term ? resident : undefined;
  }

  /** All of them, or a failure that names the first that is missing: rows are never left out in silence. */
  find(ids: readonly SegmentId[]): Outcome<readonly NativeSegment[]> {
    const found: NativeSegment[] = [];
    for (const id of ids) {
      const resident = this.#residents.get(id);
      if (resident === undefined) return fail(notOpen(id));
      found.push(resident.open.native);
    }
    return succeed(found);
  }

  exportDeletes(
    id: SegmentId,
    term: Term,
  ): Outcome<{ bytes: Uint8Array; deletedCount: number; newest: bigint } | undefined> {
    const resident = this.#owned(id, term);
    if (resident === undefined) return fail(notOpen(id));
    const { native } = resident.open;
    if (!exportIsDue({ meta: resident.meta, deletedCount: native.deletedCount })) return succeed(undefined);
    const exported = attemptNow(() => native.exportDeletes());
    if (!exported.ok) return exported;
    const { bytes } = exported.value;
    resident.exported = { crc32c: this.#engine.addon.crc32c(bytes), bytes: bytes.length };
    return exported;
  }

  close(): void {
    this.#closed = true;
    for (const resident of this.#residents.values()) resident.open.native.close();
    this.#residents.clear();
    this.#schemas.clear();
  }
}

function notOpen(id: SegmentId): DbError {
  return { kind: "notReady", message: `segment ${id} is not open here` };
}
