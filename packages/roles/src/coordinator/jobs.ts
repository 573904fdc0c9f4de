/**
 * Background work over sealed segments, one job at a time: compactions that a client asked for, index builds,
 * automatic compactions. The data node does the work; its result counts once it is committed here.
 */
import type { IndexBuildState, SealedSegmentMeta, SegmentFile, ShardManifest } from "@elanus/model/catalog";
import type { BuildId, CollectionId, NodeId, SegmentId, ShardId } from "@elanus/model/id";
import { expiredAt } from "@elanus/model/expiry";
import { describeError } from "@elanus/model/error";
import { fail, succeed, type Outcome } from "@elanus/model/outcome";
import { timestampOf, type Timestamp } from "@elanus/model/time";
import type { World } from "@elanus/platform/ports/world";
import type { LoadTask } from "./loading.ts";
import type { ManifestBook } from "./manifests.ts";
import type { OracleTask } from "./oracle.ts";
import type { Catalog, CollectionRecord } from "./state/catalog.ts";
import { fullCompaction, hasManyDead, nextCompaction, type CompactionPlan } from "./state/compaction.ts";
import { attemptKey, nextIndexJob, type Attempts, type IndexJob } from "./state/index-jobs.ts";
import { withoutIndexes, withoutPartition } from "./state/manifest.ts";

export interface JobParts {
  readonly world: World;
  readonly catalog: () => Catalog;
  readonly manifests: ManifestBook;
  readonly oracle: OracleTask;
  readonly loading: LoadTask;
  readonly nodeOf: (shard: ShardId) => NodeId | undefined;
  readonly autoCompaction: boolean;
}

interface ManualPlan extends CompactionPlan {
  target: SegmentId;
  done: boolean;
}
interface ManualCompaction {
  readonly plans: readonly ManualPlan[];
}

/** A plan that keeps being overtaken by deletes is given up after so many tries. */
const COMPACTION_TRIES_MAX = 5;
/** Remembered client compactions. */
const COMPACTIONS_KEPT_MAX = 1_000;

export class JobRunner {
  readonly #parts: JobParts;
  readonly #attempts = new Map<string, Extract<IndexBuildState, { kind: "building" | "failed" }>>();
  readonly #deadSince = new Map<SegmentId, Timestamp>();
  readonly #manual = new Map<bigint, ManualCompaction>();
  /** Manifests that a streaming node has not taken over yet. */
  readonly #unheard = new Set<ShardId>();
  /** Automatic plans that failed; not tried again until something else changes. */
  readonly #given = new Set<string>();

  constructor(parts: JobParts) {
    this.#parts = parts;
  }

  get attempts(): Attempts {
    return this.#attempts;
  }

  /** Nobody knows which manifests the nodes have heard of: the next steps tell them. */
  repeatAll(): void {
    for (const record of this.#parts.catalog().collections.values()) {
      for (const shard of record.shards) this.#unheard.add(shard);
    }
  }

  /** Does the next piece of work; false when there is none. */
  async step(): Promise<boolean> {
    await this.#deliver();
    if (await this.#sweep()) return true;
    if (await this.#manualStep()) return true;
    if (await this.#indexStep()) return true;
    return this.#parts.autoCompaction ? this.#compactionStep() : false;
  }

  /** Plans over every segment; -1 when there are none. */
  async compact(record: CollectionRecord): Promise<Outcome<{ compaction: bigint; plans: number }>> {
    const { manifests, oracle, world } = this.#parts;
    const plans = manifests
      .ofCollection(record)
      .flatMap((manifest) => fullCompaction(manifest, world.limits.segmentBytesMax));
    if (plans.length === 0) return succeed({ compaction: -1n, plans: 0 });
    const id = await oracle.allocateIds(1);
    if (!id.ok) return id;
    this.#manual.set(id.value.first, {
      plans: plans.map((plan) => ({ ...plan, target: 0n as SegmentId, done: false })),
    });
    for (const old of this.#manual.keys()) {
      if (this.#manual.size <= COMPACTIONS_KEPT_MAX) break;
      this.#manual.delete(old);
    }
    return succeed({ compaction: id.value.first, plans: plans.length });
  }

  /** An unknown compaction is done. */
  compactionState(id: bigint): {
    done: boolean;
    plans: readonly { sources: readonly SegmentId[]; target: SegmentId }[];
  } {
    const plans = this.#manual.get(id)?.plans ?? [];
    return {
      done: plans.every((plan) => plan.done),
      plans: plans.map((plan) => ({ sources: plan.sources.map((source) => source.id), target: plan.target })),
    };
  }

  /** Tells the shard's owner about a manifest that was changed here. */
  async announce(manifest: ShardManifest): Promise<void> {
    this.#unheard.add(manifest.shard);
    const node = this.#parts.nodeOf(manifest.shard);
    if (node === undefined) return;
    const told = await this.#parts.world.peers.streamingNode(node).manifestChanged(manifest);
    if (told.ok && this.#parts.manifests.of(manifest.shard).version === manifest.version) {
      this.#unheard.delete(manifest.shard);
    }
  }

  async #deliver(): Promise<void> {
    for (const shard of Array.from(this.#unheard)) {
      if (this.#ownerOf(shard) === undefined) this.#unheard.delete(shard);
      else await this.announce(this.#parts.manifests.of(shard));
    }
  }

  /** Files of dropped indexes and segments of dropped partitions leave the manifests. */
  async #sweep(): Promise<boolean> {
    const { manifests } = this.#parts;
    for (const record of this.#parts.catalog().collections.values()) {
      const wanted = new Set(record.indexes.map((index) => index.id));
      const partitions = new Set(record.partitions.map((partition) => partition.id));
      for (const shard of record.shards) {
        const changed = await manifests.change(
          record.id,
          shard,
          (manifest) =>
            withoutIndexes(manifest, wanted) ??
            withoutPartition(manifest, (segment) => partitions.has(segment.partition)),
        );
        if (!changed.ok || changed.value === undefined) continue;
        await this.announce(changed.value);
        return true;
      }
    }
    return false;
  }

  async #indexStep(): Promise<boolean> {
    const { catalog, manifests, world } = this.#parts;
    const job = nextIndexJob(
      catalog().collections.values(),
      (record) => manifests.ofCollection(record),
      this.#attempts,
      world.limits.indexRowsMin,
    );
    if (job === undefined) return false;
    const key = attemptKey(job.segment.id, job.index.id);
    this.#attempts.set(key, { kind: "building", fraction: 0 });
    const built = await this.#build(job);
    this.#attempts.delete(key);
    if (!built.ok) {
      world.telemetry.log("warn", "index build failed", {
        segment: job.segment.id,
        index: job.index.name,
        error: built.error,
      });
      const still = this.#parts.manifests
        .of(job.segment.shard)
        .segments.some((segment) => segment.id === job.segment.id);
      if (still) this.#attempts.set(key, { kind: "failed", reason: describeError(built.error) });
    }
    return true;
  }

  async #build(job: IndexJob): Promise<Outcome<void>> {
    const { manifests, oracle, world } = this.#parts;
    const id = await oracle.allocateIds(1);
    if (!id.ok) return id;
    const build = id.value.first as BuildId;
    const { segment, index } = job;
    const built: Outcome<SegmentFile> = await world.peers
      .dataNode()
      .buildIndex({ build, schema: job.collection.schema, segment, index });
    if (!built.ok) return built;
    const state: IndexBuildState = { kind: "finished", build, file: built.value };
    // The definition may be gone by now; the sweep would take the file out again.
    if (this.#ownerOf(segment.shard)?.indexes.some((wanted) => wanted.id === index.id) !== true)
      return succeed(undefined);
    const changed = await manifests.setIndexState(segment.collection, segment.shard, {
      segment: segment.id,
      index: index.id,
      state,
    });
    if (!changed.ok) return changed;
    if (changed.value !== undefined) await this.announce(changed.value);
    return succeed(undefined);
  }

  async #manualStep(): Promise<boolean> {
    for (const compaction of this.#manual.values()) {
      const plan = compaction.plans.find((candidate) => !candidate.done);
      if (plan === undefined) continue;
      const target = await this.#compactWithRetries(plan);
      if (target.ok) plan.target = target.value;
      plan.done = true;
      return true;
    }
    return false;
  }

  async #compactionStep(): Promise<boolean> {
    const { catalog, manifests, world } = this.#parts;
    const shards = [...catalog().collections.values()]
      .filter((record) => record.properties["collection.autocompaction.enabled"] !== "false")
      .flatMap((record) => manifests.ofCollection(record));
    this.#noteDead(shards);
    const open = shards.map((manifest) => ({
      ...manifest,
      segments: manifest.segments.filter((segment) => !this.#given.has(String(segment.id))),
    }));
    const { segmentBytesMax } = world.limits;
    const policy = {
      segmentBytesMax,
      dropBefore: this.#dropBefore(),
      expired: (collection: CollectionId): Timestamp => this.#expired(catalog().collections.get(collection)),
    };
    const plan = nextCompaction(open, policy, this.#deadSince);
    if (plan === undefined) return false;
    const done = await this.#compactWithRetries(plan);
    for (const source of plan.sources) {
      if (!done.ok) this.#given.add(String(source.id));
      this.#deadSince.delete(source.id);
    }
    return true;
  }

  #noteDead(manifests: readonly ShardManifest[]): void {
    const segments = manifests.flatMap((manifest) => manifest.segments);
    const present = new Set(segments.map((segment) => segment.id));
    for (const id of this.#deadSince.keys()) if (!present.has(id)) this.#deadSince.delete(id);
    for (const segment of segments) {
      if (hasManyDead(segment) && !this.#deadSince.has(segment.id))
        this.#deadSince.set(segment.id, this.#parts.oracle.last);
    }
  }

  async #compactWithRetries(plan: CompactionPlan): Promise<Outcome<SegmentId>> {
    for (let attempt = 1; ; attempt++) {
      const present = new Map(this.#parts.manifests.of(plan.shard).segments.map((segment) => [segment.id, segment]));
      const sources = plan.sources.flatMap((source) => present.get(source.id) ?? []);
      if (sources.length === 0) return fail({ kind: "cancelled", message: "the segments are gone" });
      const done = await this.#compactOnce(plan.shard, sources);
      if (done.ok) return done;
      const { telemetry } = this.#parts.world;
      telemetry.log(done.error.kind === "overtaken" ? "debug" : "warn", "compaction failed", {
        shard: plan.shard,
        attempt,
        error: done.error,
      });
      if (attempt >= COMPACTION_TRIES_MAX) return done;
    }
  }

  async #compactOnce(shard: ShardId, sources: readonly SealedSegmentMeta[]): Promise<Outcome<SegmentId>> {
    const { manifests, oracle, world } = this.#parts;
    const record = this.#ownerOf(shard);
    if (record === undefined) return fail({ kind: "cancelled", message: "the collection is gone" });
    const id = await oracle.allocateIds(1);
    if (!id.ok) return id;
    const target = id.value.first as SegmentId;
    const job = {
      target,
      schema: record.schema,
      sources,
      dropBefore: this.#dropBefore(),
      expired: this.#expired(record),
    };
    const merged = await world.peers.dataNode().compact(job);
    if (!merged.ok) return merged;
    const commit = {
      shard,
      remove: sources.map((source) => source.id),
      deletes: [],
      add: merged.value === undefined ? [] : [merged.value],
    };
    const done = await manifests.commit(record.id, commit, sources);
    if (!done.ok) return done;
    await this.announce(done.value);
    return succeed(target);
  }

  /** By the clock alone: the oracle may be ahead of it, and then tombstones are kept for longer. */
  #dropBefore(): Timestamp {
    const { clock, limits } = this.#parts.world;
    return timestampOf(Math.max(0, clock.nowMs() - limits.retentionMs));
  }

  /** What has outlived the collection's TTL, and no reader at a snapshot that is kept can ask for. */
  #expired(record: CollectionRecord | undefined): Timestamp {
    const { clock, limits } = this.#parts.world;
    return record === undefined ? (0n as Timestamp) : expiredAt(record.properties, clock.nowMs() - limits.retentionMs);
  }

  #ownerOf(shard: ShardId): CollectionRecord | undefined {
    const id = BigInt(shard.slice(shard.lastIndexOf("_") + 1, shard.lastIndexOf("v"))) as CollectionId;
    return this.#parts.catalog().collections.get(id);
  }
}
