/**
 * The shards' manifests: an immutable object per version and a pointer in the catalog store, moved by
 * compare-and-set and fenced by the term of the channel's owner.
 */
import type { IndexBuildState, SealedSegmentMeta, ShardManifest } from "@elanus/model/catalog";
import type { ManifestCommit } from "@elanus/model/contract/coordinator";
import type { ChannelName, CollectionId, IndexId, NodeId, SegmentId, ShardId, Term } from "@elanus/model/id";
import { fail, invariant, succeed, type Outcome } from "@elanus/model/outcome";
import type { Timestamp } from "@elanus/model/time";
import type { MetaCondition } from "@elanus/platform/ports/meta";
import type { ObjectStore } from "@elanus/platform/ports/objects";
import { decodeManifest, encodeManifest } from "@elanus/segment/manifest";
import type { OracleTask } from "./oracle.ts";
import { Serial } from "../serial.ts";
import { channelOf, type CollectionRecord } from "./state/catalog.ts";
import { committed, emptyManifest, manifestKey, objectsOf, withIndexState } from "./state/manifest.ts";
import { encodeRecord } from "./state/record-text.ts";
import { collectionKey, manifestPointerKey, type CoordinatorStore } from "./store.ts";

interface ManifestPointer {
  readonly version: number;
  readonly key: string;
}
interface ChannelOwner {
  readonly term: Term;
  readonly node: NodeId;
  readonly claimedAt: Timestamp;
}
interface Held {
  readonly manifest: ShardManifest;
  readonly pointer: ManifestPointer | undefined;
}

export class ManifestBook {
  readonly #store: CoordinatorStore;
  readonly #objects: ObjectStore;
  readonly #oracle: OracleTask;
  readonly #held = new Map<ShardId, Held>();
  readonly #queues = new Map<ShardId, Serial>();
  readonly #owners = new Map<ChannelName, ChannelOwner>();
  /** Objects that garbage collection is deleting or may yet have deleted. */
  readonly #deleting = new Set<string>();
  /** Objects that it has deleted; a commit may name them only if they were written again. */
  readonly #deleted = new Set<string>();
  /** Objects of commits under way; no garbage. */
  readonly #committing = new Set<string>();
  /** Shards whose pointer may have moved although its transaction failed; read again before anything else. */
  readonly #uncertain = new Set<ShardId>();

  constructor(store: CoordinatorStore, objects: ObjectStore, oracle: OracleTask) {
    this.#store = store;
    this.#objects = objects;
    this.#oracle = oracle;
  }

  async load(collections: Iterable<CollectionRecord>): Promise<Outcome<void>> {
    const owners = await this.#store.list<ChannelOwner>("channel/");
    if (!owners.ok) return owners;
    for (const { key, value } of owners.value) this.#owners.set(key.slice("channel/".length) as ChannelName, value);
    for (const collection of collections) {
      for (const shard of collection.shards) {
        const held = await this.#loadShard(shard);
        if (!held.ok) return held;
      }
    }
    return succeed(undefined);
  }

  of(shard: ShardId): ShardManifest {
    return this.#held.get(shard)?.manifest ?? emptyManifest(shard);
  }

  ofCollection(collection: CollectionRecord): ShardManifest[] {
    return collection.shards.map((shard) => this.of(shard));
  }

  /** Forgets the shards of dropped collections; what they needed becomes garbage. */
  retain(shards: ReadonlySet<ShardId>): void {
    for (const held of [this.#held, this.#queues]) {
      for (const shard of held.keys()) if (!shards.has(shard)) held.delete(shard);
    }
    for (const shard of this.#uncertain) if (!shards.has(shard)) this.#uncertain.delete(shard);
  }

  termOf(channel: ChannelName): Term {
    return this.#owners.get(channel)?.term ?? (0 as Term);
  }

  /** Raises the terms of a node's channels: whatever an earlier owner still sends, a late claim too, is refused. */
  async claim(
    channels: readonly ChannelName[],
    claim: { readonly node: NodeId; readonly at: Timestamp },
  ): Promise<Outcome<void>> {
    const taken = channels.find((channel) => claim.at <= (this.#owners.get(channel)?.claimedAt ?? 0n));
    if (taken !== undefined) return fail({ kind: "fenced", channel: taken });
    const claimed = channels.map((channel) => {
      const owner = { term: (this.termOf(channel) + 1) as Term, node: claim.node, claimedAt: claim.at };
      return { channel, owner };
    });
    const ops = claimed.map(({ channel, owner }) => ({
      kind: "put" as const,
      key: `channel/${channel}`,
      value: encodeRecord(owner),
    }));
    const done = await this.#store.transact(ops);
    if (!done.ok) return done;
    for (const { channel, owner } of claimed) this.#owners.set(channel, owner);
    return succeed(undefined);
  }

  commit(
    collection: CollectionId,
    commit: ManifestCommit,
    sources: readonly SealedSegmentMeta[] = [],
  ): Promise<Outcome<ShardManifest>> {
    return this.#queueOf(commit.shard).run(async () => {
      const channel = channelOf(commit.shard);
      const term = this.termOf(channel);
      if (commit.term !== undefined && commit.term !== term) return fail({ kind: "fenced", channel, term });
      const settled = await this.#settle(commit.shard);
      if (!settled.ok) return settled;
      const keys = [...commit.add.flatMap(objectsOf), ...commit.deletes.map((entry) => entry.file.key)];
      return this.#keeping(keys, async () => {
        const next = committed(this.of(commit.shard), commit, sources);
        if (!next.ok || next.value === this.of(commit.shard)) return next;
        return this.#write(collection, next.value, commit.term === undefined ? undefined : channel);
      });
    });
  }

  /** Runs a commit while its objects are safe from garbage collection; refused when they are gone already. */
  async #keeping(
    keys: readonly string[],
    task: () => Promise<Outcome<ShardManifest>>,
  ): Promise<Outcome<ShardManifest>> {
    for (const key of keys) this.#committing.add(key);
    try {
      for (const key of keys) {
        if (!this.#deleting.has(key) && !(await this.#isGone(key))) continue;
        return fail({ kind: "objectCollected", key });
      }
      return await task();
    } finally {
      for (const key of keys) this.#committing.delete(key);
    }
  }

  async #isGone(key: string): Promise<boolean> {
    if (!this.#deleted.has(key)) return false;
    const listed = await this.#objects.list(key);
    if (!listed.ok || !listed.value.includes(key)) return true;
    this.#deleted.delete(key);
    return false;
  }

  setIndexState(
    collection: CollectionId,
    shard: ShardId,
    entry: {
      readonly segment: SegmentId;
      readonly index: IndexId;
      readonly state: IndexBuildState;
    },
  ): Promise<Outcome<ShardManifest | undefined>> {
    const { segment, index, state } = entry;
    if (state.kind === "finished") this.#committing.add(state.file.key);
    const changed = this.change(collection, shard, (manifest) => withIndexState(manifest, segment, index, state));
    return changed.finally(() => {
      if (state.kind === "finished") this.#committing.delete(state.file.key);
    });
  }

  /** Writes what `edit` makes of the newest manifest; undefined: nothing to change. */
  change(
    collection: CollectionId,
    shard: ShardId,
    edit: (manifest: ShardManifest) => ShardManifest | undefined,
  ): Promise<Outcome<ShardManifest | undefined>> {
    return this.#queueOf(shard).run(async () => {
      const settled = await this.#settle(shard);
      if (!settled.ok) return settled;
      const next = edit(this.of(shard));
      return next === undefined ? succeed(undefined) : this.#write(collection, next, undefined);
    });
  }

  /** True once every pointer is known; until then nothing may pass for garbage. */
  async settleAll(): Promise<boolean> {
    const settled = [...this.#uncertain].map((shard) => this.#queueOf(shard).run(() => this.#settle(shard)));
    return (await Promise.all(settled)).every((outcome) => outcome.ok) && this.#uncertain.size === 0;
  }

  /** Keys of every object that some manifest needs, the manifests themselves included. */
  referenced(): Set<string> {
    const keys = new Set<string>(this.#committing);
    for (const { manifest, pointer } of this.#held.values()) {
      if (pointer !== undefined) keys.add(pointer.key);
      for (const segment of manifest.segments) for (const key of objectsOf(segment)) keys.add(key);
    }
    return keys;
  }

  /** Deletes an object unless something needs it by now. A failed deletion may yet happen. */
  async deleteGarbage(key: string): Promise<Outcome<void>> {
    if (this.referenced().has(key)) return succeed(undefined);
    this.#deleting.add(key);
    const deleted = await this.#objects.delete(key);
    if (!deleted.ok) return deleted;
    this.#deleted.add(key);
    this.#deleting.delete(key);
    return deleted;
  }

  async #loadShard(shard: ShardId): Promise<Outcome<void>> {
    const pointer = await this.#store.read<ManifestPointer>(manifestPointerKey(shard));
    if (!pointer.ok) return pointer;
    if (pointer.value === undefined) {
      this.#held.set(shard, { manifest: emptyManifest(shard), pointer: undefined });
      return succeed(undefined);
    }
    const { key } = pointer.value;
    const bytes = await this.#objects.get(key);
    if (!bytes.ok) return bytes;
    if (bytes.value === undefined)
      return fail({ kind: "fileCorrupt", file: key, message: "manifest object is missing" });
    const manifest = decodeManifest(bytes.value, key);
    if (!manifest.ok) return manifest;
    this.#held.set(shard, { manifest: manifest.value, pointer: pointer.value });
    return succeed(undefined);
  }

  /** Whether a failed transaction happened is unknown: what is stored decides, as soon as it can be read. */
  async #settle(shard: ShardId): Promise<Outcome<void>> {
    if (!this.#uncertain.has(shard)) return succeed(undefined);
    const loaded = await this.#loadShard(shard);
    if (loaded.ok) this.#uncertain.delete(shard);
    return loaded;
  }

  /** `fencedBy`: also require that the channel still has the owner whose term was checked. */
  async #write(
    collection: CollectionId,
    manifest: ShardManifest,
    fencedBy: ChannelName | undefined,
  ): Promise<Outcome<ShardManifest>> {
    const old = this.#held.get(manifest.shard)?.pointer;
    invariant(manifest.version === (old?.version ?? 0) + 1, "manifest versions have no gaps");
    const unique = await this.#oracle.allocateIds(1);
    if (!unique.ok) return unique;
    const key = manifestKey(collection, manifest.shard, manifest.version, unique.value.first);
    const stored = await this.#objects.put(key, [encodeManifest(manifest)]);
    if (!stored.ok) return stored;
    const pointer: ManifestPointer = { version: manifest.version, key };
    const pointerKey = manifestPointerKey(manifest.shard);
    const conditions: MetaCondition[] = [
      { key: pointerKey, value: old === undefined ? undefined : encodeRecord(old) },
      // A first pointer that comes after the drop of its collection would stay for ever.
      { key: collectionKey(collection), value: "any" },
    ];
    const owner = fencedBy === undefined ? undefined : this.#owners.get(fencedBy);
    if (owner !== undefined) conditions.push({ key: `channel/${fencedBy}`, value: encodeRecord(owner) });
    const done = await this.#store.transact(
      [{ kind: "put", key: pointerKey, value: encodeRecord(pointer) }],
      conditions,
    );
    if (!done.ok) {
      this.#uncertain.add(manifest.shard);
      await this.#settle(manifest.shard);
      return done;
    }
    if (!done.value) return fail({ kind: "fenced", channel: channelOf(manifest.shard) });
    this.#held.set(manifest.shard, { manifest, pointer });
    return succeed(manifest);
  }

  #queueOf(shard: ShardId): Serial {
    const queue = this.#queues.get(shard) ?? new Serial();
    this.#queues.set(shard, queue);
    return queue;
  }
}
