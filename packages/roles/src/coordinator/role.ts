/**
 * The coordinator: catalog, time, numbers, placement and the life of sealed segments. At its start it touches
 * only the catalog store and the object store; nodes are spoken to from the background, once they are there.
 */
import type {
  CollectionInfo,
  IndexBuildState,
  Properties,
  SealedSegmentMeta,
  ShardManifest,
} from "@elanus/model/catalog";
import type {
  ChannelAssignment,
  CollectionRef,
  CoordinatorContract,
  CreateCollection,
  CreateIndex,
  ManifestCommit,
} from "@elanus/model/contract/coordinator";
import type {
  ChannelName,
  CollectionId,
  DatabaseId,
  IndexId,
  NodeId,
  PartitionId,
  SegmentId,
  ShardId,
} from "@elanus/model/id";
import { aliasNameError, collectionNameError, indexNameError } from "@elanus/model/names";
import { fail, succeed, type Outcome } from "@elanus/model/outcome";
import type { Timestamp } from "@elanus/model/time";
import type { RunningRole, World } from "@elanus/platform/ports/world";
import { Background } from "./background.ts";
import { Broadcaster } from "./broadcast.ts";
import { GarbageCollector } from "./collect.ts";
import type { CoordinatorConfig } from "./config.ts";
import { DdlTask } from "./ddl.ts";
import { resolveIndex } from "@elanus/query/index-params";
import { JobRunner } from "./jobs.ts";
import { LoadTask } from "./loading.ts";
import { ManifestBook } from "./manifests.ts";
import { OracleTask } from "./oracle.ts";
import { alterAlias, createAlias, dropAlias } from "./state/alias-ddl.ts";
import { channelOf, collectionInfo, type Catalog, type Change, type CollectionRecord } from "./state/catalog.ts";
import {
  alterCollection,
  createCollection,
  dropCollection,
  partitionCount,
  renameCollection,
} from "./state/collection-ddl.ts";
import { alterDatabase, createDatabase, dropDatabase } from "./state/database-ddl.ts";
import { alterIndex, createIndex, describeIndexes, dropIndex } from "./state/index-ddl.ts";
import { load, loadProgress, release } from "./state/load-ddl.ts";
import { createPartition, dropPartition } from "./state/partition-ddl.ts";
import { channelsByLoad, queryNodeOf } from "./state/placement.ts";
import { CoordinatorStore } from "./store.ts";

export async function startCoordinator(
  world: World,
  config: CoordinatorConfig,
): Promise<Outcome<RunningRole<CoordinatorContract>>> {
  const store = await CoordinatorStore.open(world.meta);
  if (!store.ok) return store;
  const oracle = await OracleTask.open(store.value, world.clock);
  if (!oracle.ok) return oracle;
  const stored = await store.value.loadCatalog();
  if (!stored.ok) return stored;
  const owners = new Map(config.channels.map(({ channel, node }) => [channel, node]));
  const broadcaster = new Broadcaster(world, store.value, (channel) => owners.get(channel), stored.value.intents);
  const ddl = new DdlTask(store.value, broadcaster, stored.value, config.onCatalogVersion);
  const defaults = await ddl.ensureDefaults(oracle.value);
  if (!defaults.ok) return defaults;
  const manifests = new ManifestBook(store.value, world.objects, oracle.value);
  const loaded = await manifests.load(ddl.catalog.collections.values());
  if (!loaded.ok) return loaded;
  const role = new Coordinator({
    world,
    config,
    store: store.value,
    oracle: oracle.value,
    ddl,
    broadcaster,
    manifests,
  });
  role.start();
  return succeed({ contract: role, stop: () => role.stop() });
}

interface Parts {
  readonly world: World;
  readonly config: CoordinatorConfig;
  readonly store: CoordinatorStore;
  readonly oracle: OracleTask;
  readonly ddl: DdlTask;
  readonly broadcaster: Broadcaster;
  readonly manifests: ManifestBook;
}

class Coordinator implements CoordinatorContract {
  readonly #parts: Parts;
  readonly #owners: ReadonlyMap<ChannelName, NodeId>;
  readonly #loading: LoadTask;
  readonly #jobs: JobRunner;
  readonly #background: Background;

  constructor(parts: Parts) {
    const { world, config, oracle, ddl, manifests } = parts;
    this.#parts = parts;
    this.#owners = new Map(config.channels.map(({ channel, node }) => [channel, node]));
    const nodeOf = (shard: ShardId): NodeId | undefined => this.#owners.get(channelOf(shard));
    const catalog = (): Catalog => ddl.catalog;
    this.#loading = new LoadTask(world, catalog, nodeOf);
    this.#jobs = new JobRunner({
      world,
      catalog,
      manifests,
      oracle,
      nodeOf,
      loading: this.#loading,
      autoCompaction: config.autoCompaction,
    });
    const garbage = new GarbageCollector(world, catalog, manifests, config.garbageGraceMs);
    this.#background = new Background(world, config.jobIntervalMs, {
      jobs: this.#jobs,
      loading: this.#loading,
      broadcaster: parts.broadcaster,
      garbage,
    });
  }

  start(): void {
    // A predecessor, or a change of unknown outcome, may have ended before its announcements.
    this.#repeatAll();
    this.#parts.ddl.onReload = () => this.#repeatAll();
    this.#background.start();
  }

  async stop(): Promise<void> {
    this.#parts.broadcaster.stop();
    await this.#background.stop();
    await this.#parts.oracle.close();
    this.#parts.store.close();
  }

  get #catalog(): Catalog {
    return this.#parts.ddl.catalog;
  }

  // Time and numbers

  allocateTimestamps(count: number, above?: Timestamp): Promise<Outcome<{ first: Timestamp; count: number }>> {
    return this.#parts.oracle.allocateTimestamps(count, above);
  }

  allocateIds(count: number): Promise<Outcome<{ first: bigint; count: number }>> {
    return this.#parts.oracle.allocateIds(count);
  }

  // Databases

  createDatabase: CoordinatorContract["createDatabase"] = async (name, properties) => {
    const numbers = await this.#numbers(1);
    if (!numbers.ok) return numbers;
    const { id, at } = numbers.value;
    const databasesMax = this.#parts.world.limits.databasesMax;
    return this.#change((catalog) =>
      createDatabase(catalog, { name, properties, id: id as DatabaseId, at, databasesMax }),
    );
  };

  dropDatabase: CoordinatorContract["dropDatabase"] = (name) => this.#change((catalog) => dropDatabase(catalog, name));

  alterDatabase(name: string, set: Properties, remove: readonly string[]): Promise<Outcome<void>> {
    return this.#change((catalog) => alterDatabase(catalog, name, set, remove));
  }

  listDatabases: CoordinatorContract["listDatabases"] = () =>
    Promise.resolve(succeed([...this.#catalog.databases.values()]));

  describeDatabase: CoordinatorContract["describeDatabase"] = (name) => Promise.resolve(this.#catalog.database(name));

  // Collections

  async createCollection(request: CreateCollection): Promise<Outcome<CollectionInfo>> {
    const { ddl, world, config } = this.#parts;
    const numbers = await this.#numbers(1 + partitionIds(request, world.limits.partitionsMax));
    if (!numbers.ok) return numbers;
    const { id, at } = numbers.value;
    const created = await ddl.run((catalog) => {
      const channels = channelsByLoad(
        config.channels.map(({ channel }) => channel),
        catalog.collections.values(),
      );
      const allotment = { id: id as CollectionId, firstPartition: id + 1n, at, channels };
      const decided = createCollection(catalog, request, allotment, world.limits);
      if (!decided.ok) return decided;
      const { change, id: collection } = decided.value;
      return succeed({ change, result: collection, logged: collection });
    });
    if (!created.ok) return created;
    return this.describeCollectionById(created.value);
  }

  dropCollection: CoordinatorContract["dropCollection"] = (ref) =>
    this.#change((catalog) => dropCollection(catalog, ref));

  describeCollection(ref: CollectionRef): Promise<Outcome<CollectionInfo>> {
    const found = this.#catalog.resolve(ref);
    if (found.ok) return Promise.resolve(succeed(this.#info(found.value)));
    return Promise.resolve(fail(collectionNameError(ref.name) ?? found.error));
  }

  describeCollectionById(id: CollectionId): Promise<Outcome<CollectionInfo>> {
    const found = this.#catalog.collections.get(id);
    if (found === undefined) {
      return Promise.resolve(fail({ kind: "collectionNotFound", database: "", collection: String(id) }));
    }
    return Promise.resolve(succeed(this.#info(found)));
  }

  listCollections: CoordinatorContract["listCollections"] = (database) => {
    const found = this.#catalog.database(database);
    if (!found.ok) return Promise.resolve(found);
    return Promise.resolve(succeed(this.#catalog.inDatabase(found.value.id).map((record) => this.#info(record))));
  };

  renameCollection: CoordinatorContract["renameCollection"] = async (from, to) => {
    const at = await this.#parts.oracle.now();
    return at.ok ? this.#change((catalog) => renameCollection(catalog, from, to, at.value)) : at;
  };

  async alterCollection(ref: CollectionRef, set: Properties, remove: readonly string[]): Promise<Outcome<void>> {
    const at = await this.#parts.oracle.now();
    return at.ok ? this.#change((catalog) => alterCollection(catalog, ref, { set, remove, at: at.value })) : at;
  }

  catalogVersion: CoordinatorContract["catalogVersion"] = () => Promise.resolve(succeed(this.#parts.ddl.version));

  sealedRowCount: CoordinatorContract["sealedRowCount"] = (collection, partition) => {
    const found = this.#catalog.collections.get(collection);
    if (found === undefined) {
      return Promise.resolve(fail({ kind: "collectionNotFound", database: "", collection: String(collection) }));
    }
    const rows = this.#segments(found)
      .filter((segment) => partition === undefined || segment.partition === partition)
      .reduce((sum, segment) => sum + segment.rowCount, 0);
    return Promise.resolve(succeed(rows));
  };

  // Partitions and aliases

  createPartition: CoordinatorContract["createPartition"] = async (ref, partition) => {
    const numbers = await this.#numbers(1);
    if (!numbers.ok) return numbers;
    const { id, at } = numbers.value;
    const partitionsMax = this.#parts.world.limits.partitionsMax;
    return this.#change((catalog) =>
      createPartition(catalog, { ref, partition, id: id as PartitionId, at, partitionsMax }),
    );
  };

  dropPartition: CoordinatorContract["dropPartition"] = (ref, partition) =>
    this.#change((catalog) => dropPartition(catalog, ref, partition));

  createAlias: CoordinatorContract["createAlias"] = (ref, alias) =>
    this.#change((catalog) => createAlias(catalog, ref, alias));

  dropAlias: CoordinatorContract["dropAlias"] = (database, alias) =>
    this.#change((catalog) => dropAlias(catalog, database, alias));

  alterAlias: CoordinatorContract["alterAlias"] = (ref, alias) =>
    this.#change((catalog) => alterAlias(catalog, ref, alias));

  describeAlias: CoordinatorContract["describeAlias"] = (database, alias) => {
    const bad = aliasNameError(alias);
    if (bad !== undefined) return Promise.resolve(fail(bad));
    const found = this.#catalog.database(database);
    if (!found.ok) return Promise.resolve(found);
    const target = this.#catalog.aliased(found.value.id, alias);
    if (target === undefined) return Promise.resolve(fail({ kind: "aliasNotFound", database, alias }));
    return Promise.resolve(succeed({ alias, collection: target.schema.name }));
  };

  listAliases: CoordinatorContract["listAliases"] = (database, collection) => {
    if (collection !== "") {
      const found = this.#catalog.resolve({ database, name: collection });
      return Promise.resolve(found.ok ? succeed(found.value.aliases) : found);
    }
    const found = this.#catalog.database(database);
    if (!found.ok) return Promise.resolve(found);
    return Promise.resolve(succeed(this.#catalog.inDatabase(found.value.id).flatMap((record) => record.aliases)));
  };

  // Indexes and loading

  async createIndex(request: CreateIndex): Promise<Outcome<void>> {
    const bad = indexNameError(request.index);
    if (bad !== undefined) return fail(bad);
    const numbers = await this.#numbers(1);
    if (!numbers.ok) return numbers;
    const { id, at } = numbers.value;
    return this.#changeLoaded(request, (catalog) => {
      const found = catalog.resolve(request);
      if (!found.ok) return found;
      const resolved = resolveIndex(found.value.schema, request);
      return resolved.ok ? createIndex(catalog, resolved.value, id as IndexId, at) : resolved;
    });
  }

  dropIndex: CoordinatorContract["dropIndex"] = (ref, index) =>
    this.#changeLoaded(ref, (catalog) => dropIndex(catalog, ref, index));

  alterIndex: CoordinatorContract["alterIndex"] = (ref, index, set, remove) =>
    this.#change((catalog) => alterIndex(catalog, ref, index, { set, remove }));

  describeIndexes: CoordinatorContract["describeIndexes"] = (ref, name, at) => {
    const found = this.#catalog.resolve(ref);
    if (!found.ok) return Promise.resolve(found);
    return Promise.resolve(
      describeIndexes({
        record: found.value,
        name,
        at,
        manifests: this.#parts.manifests.ofCollection(found.value),
        attempts: this.#jobs.attempts,
        indexRowsMin: this.#parts.world.limits.indexRowsMin,
      }),
    );
  };

  load: CoordinatorContract["load"] = (ref, partitions, fields) =>
    this.#changeLoaded(ref, (catalog) => load(catalog, ref, partitions, fields));

  release: CoordinatorContract["release"] = (ref, partitions) =>
    this.#changeLoaded(ref, (catalog) => release(catalog, ref, partitions));

  loadProgress: CoordinatorContract["loadProgress"] = async (ref, partitions) => {
    const found = this.#catalog.resolve(ref);
    const percent = found.ok ? await this.#loading.percent(found.value) : succeed(0);
    if (!percent.ok) return percent;
    return loadProgress(this.#catalog, ref, partitions, percent.value);
  };

  // Segments and compaction

  listSegments: CoordinatorContract["listSegments"] = (ref) => {
    const found = this.#catalog.resolve(ref);
    return Promise.resolve(found.ok ? succeed(this.#segments(found.value)) : found);
  };

  async compact(ref: CollectionRef): Promise<Outcome<{ compaction: bigint; plans: number }>> {
    const found = this.#catalog.resolve(ref);
    if (!found.ok) return found;
    const planned = await this.#jobs.compact(found.value);
    this.#background.wake();
    return planned;
  }

  compactionState: CoordinatorContract["compactionState"] = (compaction) =>
    Promise.resolve(succeed(this.#jobs.compactionState(compaction)));

  // For the nodes

  /** Under the catalog's lock, so that no shard appears between the terms and the list. */
  claimChannels(node: NodeId, at: Timestamp): Promise<Outcome<readonly ChannelAssignment[]>> {
    const { config, ddl, manifests } = this.#parts;
    const channels = config.channels.filter((entry) => entry.node === node).map((entry) => entry.channel);
    return ddl.settled(async (catalog) => {
      const claimed = await manifests.claim(channels, { node, at });
      if (!claimed.ok) return claimed;
      this.#background.wake();
      return succeed(channels.map((channel) => this.#assignment(catalog, channel)));
    });
  }

  async commitManifest(commit: ManifestCommit): Promise<Outcome<ShardManifest>> {
    const record = this.#ownerOf(commit.shard);
    if (record === undefined) return fail(shardMissing(commit.shard));
    const done = await this.#parts.manifests.commit(record.id, commit);
    if (done.ok) this.#background.wake();
    return done;
  }

  manifest: CoordinatorContract["manifest"] = (shard) => {
    if (this.#ownerOf(shard) === undefined) return Promise.resolve(fail(shardMissing(shard)));
    return Promise.resolve(succeed(this.#parts.manifests.of(shard)));
  };

  placement: CoordinatorContract["placement"] = (shards) => {
    const placed: { shard: ShardId; streamingNode: NodeId; queryNode: NodeId }[] = [];
    for (const shard of shards) {
      const streamingNode = this.#owners.get(channelOf(shard));
      if (streamingNode === undefined) return Promise.resolve(fail(shardMissing(shard)));
      placed.push({ shard, streamingNode, queryNode: queryNodeOf(shard, this.#parts.config.queryNodes) });
    }
    return Promise.resolve(succeed(placed));
  };

  async reportIndexBuild(segment: SegmentId, index: IndexId, state: IndexBuildState): Promise<Outcome<void>> {
    const { manifests } = this.#parts;
    for (const record of this.#catalog.collections.values()) {
      const manifest = manifests.ofCollection(record).find((one) => one.segments.some((held) => held.id === segment));
      if (manifest === undefined) continue;
      const changed = await manifests.setIndexState(record.id, manifest.shard, { segment, index, state });
      if (!changed.ok) return changed;
      if (changed.value !== undefined) await this.#jobs.announce(changed.value);
      return succeed(undefined);
    }
    return fail({ kind: "internal", message: `segment ${segment} is in no manifest` });
  }

  indexesOf: CoordinatorContract["indexesOf"] = (collection) => {
    const found = this.#catalog.collections.get(collection);
    if (found === undefined) {
      return Promise.resolve(fail({ kind: "collectionNotFound", database: "", collection: String(collection) }));
    }
    return Promise.resolve(succeed(found.indexes));
  };

  // Steps

  #repeatAll(): void {
    this.#loading.repeatAll();
    this.#jobs.repeatAll();
  }

  #change(decide: (catalog: Catalog) => Outcome<Change>): Promise<Outcome<void>> {
    return this.#parts.ddl.change(decide);
  }

  /** A change that the owners of the collection's shards must hear of. A lost announcement is repeated. */
  async #changeLoaded(ref: CollectionRef, decide: (catalog: Catalog) => Outcome<Change>): Promise<Outcome<void>> {
    const changed = await this.#parts.ddl.run((catalog) => {
      const decided = decide(catalog);
      if (!decided.ok) return decided;
      const found = catalog.resolve(ref);
      const wasLoaded = found.ok && found.value.load.kind !== "released";
      const isLoaded = decided.value.putCollections?.some((record) => record.load.kind !== "released") === true;
      const concerned = decided.value.putCollections !== undefined && (wasLoaded || isLoaded);
      return succeed({ change: decided.value, result: concerned && found.ok ? found.value.id : undefined });
    });
    if (!changed.ok) return changed;
    if (changed.value !== undefined) await this.#loading.announce(changed.value);
    this.#background.wake();
    return succeed(undefined);
  }

  async #numbers(ids: number): Promise<Outcome<{ id: bigint; at: Timestamp }>> {
    const range = await this.#parts.oracle.allocateIds(ids);
    if (!range.ok) return range;
    const at = await this.#parts.oracle.now();
    return at.ok ? succeed({ id: range.value.first, at: at.value }) : at;
  }

  #info(record: CollectionRecord): CollectionInfo {
    const database = this.#catalog.databases.get(record.databaseId)?.name ?? "";
    return collectionInfo(record, database, this.#loading.knownPercent(record.id));
  }

  #segments(record: CollectionRecord): SealedSegmentMeta[] {
    return this.#parts.manifests.ofCollection(record).flatMap((manifest) => manifest.segments);
  }

  #ownerOf(shard: ShardId): CollectionRecord | undefined {
    const id = shard.slice(shard.lastIndexOf("_") + 1, shard.lastIndexOf("v"));
    return /^\d+$/.test(id) ? this.#catalog.collections.get(BigInt(id) as CollectionId) : undefined;
  }

  #assignment(catalog: Catalog, channel: ChannelName): ChannelAssignment {
    const { manifests } = this.#parts;
    const shards = [...catalog.collections.values()].flatMap((record) =>
      record.shards
        .filter((shard) => channelOf(shard) === channel)
        .map((shard) => ({
          shard,
          collection: record.id,
          schema: record.schema,
          partitions: record.partitions.map((partition) => partition.id),
          manifest: manifests.of(shard),
        })),
    );
    return { channel, term: manifests.termOf(channel), shards };
  }
}

function partitionIds(request: CreateCollection, partitionsMax: number): number {
  const wanted = partitionCount(request);
  return Number.isInteger(wanted) && wanted > 0 ? Math.min(wanted, partitionsMax) : 1;
}

function shardMissing(shard: ShardId): { kind: "internal"; message: string } {
  return { kind: "internal", message: `shard ${shard} belongs to no collection` };
}
