/** What the coordinator answers: catalog, time, placement and the life of sealed segments. */
import type {
  CollectionInfo,
  DatabaseInfo,
  IndexBuildState,
  IndexInfo,
  Metric,
  Properties,
  SealedSegmentMeta,
  ShardManifest,
} from "../catalog.ts";
import type {
  ChannelName,
  CollectionId,
  FieldId,
  IndexId,
  LogPosition,
  NodeId,
  PartitionId,
  SegmentId,
  ShardId,
  Term,
} from "../id.ts";
import type { Outcome } from "../outcome.ts";
import type { CollectionSchema } from "../schema.ts";
import type { ConsistencyLevel, Timestamp } from "../time.ts";

/** Names as the client gave them; an alias is resolved where the verb allows one. */
export interface CollectionRef {
  readonly database: string;
  readonly name: string;
}

export interface CreateCollection extends CollectionRef {
  readonly schema: CollectionSchema;
  readonly shards: number;
  /** Only with a partition key; default 16. */
  readonly partitions?: number;
  readonly consistency: ConsistencyLevel;
  readonly properties: Properties;
}

export interface CreateIndex extends CollectionRef {
  readonly field: string;
  /** Name of the index (`name` is the collection's); empty: the field's name. */
  readonly index: string;
  readonly type: string;
  readonly metric?: Metric;
  readonly params: IndexInfo["params"];
  readonly userParams: IndexInfo["userParams"];
}

export interface IndexProgress {
  readonly index: IndexInfo;
  readonly totalRows: number;
  readonly indexedRows: number;
  readonly pendingRows: number;
  readonly state: "unissued" | "inProgress" | "finished" | "failed";
  readonly failReason: string;
}

export interface LoadProgress {
  readonly state: "notExist" | "notLoaded" | "loading" | "loaded";
  readonly percent: number;
}

/** A shard as its new owner must open it. */
export interface ShardAssignment {
  readonly shard: ShardId;
  readonly collection: CollectionId;
  readonly schema: CollectionSchema;
  readonly partitions: readonly PartitionId[];
  readonly manifest: ShardManifest;
}

export interface ChannelAssignment {
  readonly channel: ChannelName;
  readonly term: Term;
  readonly shards: readonly ShardAssignment[];
}

/** One atomic change of a shard's manifest; refused when a removed segment is no longer in it. */
export interface ManifestCommit {
  readonly shard: ShardId;
  /** Owner's term; an older one is fenced. Absent for data-node results. */
  readonly term?: Term;
  readonly add: readonly SealedSegmentMeta[];
  readonly remove: readonly SegmentId[];
  /** New delete files of segments that stay. */
  readonly deletes: readonly {
    readonly segment: SegmentId;
    readonly file: SealedSegmentMeta["files"][number];
    readonly deletedCount: number;
  }[];
  readonly checkpoint?: { readonly position: LogPosition; readonly at: Timestamp };
}

export interface CoordinatorContract {
  // Time and numbers
  /**
   * A fresh range; `first` is larger than any timestamp handed out before, even before a restart, and than `above`:
   * a moment that a tick has promised because some other clock had reached it.
   */
  allocateTimestamps(count: number, above?: Timestamp): Promise<Outcome<{ first: Timestamp; count: number }>>;
  allocateIds(count: number): Promise<Outcome<{ first: bigint; count: number }>>;

  // Databases
  createDatabase(name: string, properties: Properties): Promise<Outcome<void>>;
  dropDatabase(name: string): Promise<Outcome<void>>;
  alterDatabase(name: string, set: Properties, remove: readonly string[]): Promise<Outcome<void>>;
  listDatabases(): Promise<Outcome<readonly DatabaseInfo[]>>;
  describeDatabase(name: string): Promise<Outcome<DatabaseInfo>>;

  // Collections
  createCollection(request: CreateCollection): Promise<Outcome<CollectionInfo>>;
  dropCollection(ref: CollectionRef): Promise<Outcome<void>>;
  describeCollection(ref: CollectionRef): Promise<Outcome<CollectionInfo>>;
  describeCollectionById(id: CollectionId): Promise<Outcome<CollectionInfo>>;
  listCollections(database: string): Promise<Outcome<readonly CollectionInfo[]>>;
  renameCollection(from: CollectionRef, to: CollectionRef): Promise<Outcome<void>>;
  alterCollection(ref: CollectionRef, set: Properties, remove: readonly string[]): Promise<Outcome<void>>;
  /** Grows by one with every change of any collection, alias or database: the proxies' cache key. */
  catalogVersion(): Promise<Outcome<number>>;
  /** Physical rows in sealed segments; the proxy adds growing rows from the streaming nodes. */
  sealedRowCount(collection: CollectionId, partition?: PartitionId): Promise<Outcome<number>>;

  // Partitions and aliases
  createPartition(ref: CollectionRef, partition: string): Promise<Outcome<void>>;
  dropPartition(ref: CollectionRef, partition: string): Promise<Outcome<void>>;
  createAlias(ref: CollectionRef, alias: string): Promise<Outcome<void>>;
  dropAlias(database: string, alias: string): Promise<Outcome<void>>;
  alterAlias(ref: CollectionRef, alias: string): Promise<Outcome<void>>;
  describeAlias(database: string, alias: string): Promise<Outcome<{ alias: string; collection: string }>>;
  listAliases(database: string, collection: string): Promise<Outcome<readonly string[]>>;

  // Indexes and loading
  createIndex(request: CreateIndex): Promise<Outcome<void>>;
  dropIndex(ref: CollectionRef, index: string): Promise<Outcome<void>>;
  /** Changes how an index is held: `mmap.enabled`, `indexoffsetcache.enabled`, `warmup`; of a released collection. */
  alterIndex(ref: CollectionRef, index: string, set: Properties, remove: readonly string[]): Promise<Outcome<void>>;
  /** All indexes when `index` is empty; progress over sealed rows that existed before `at` (0: all). */
  describeIndexes(ref: CollectionRef, index: string, at: Timestamp): Promise<Outcome<readonly IndexProgress[]>>;
  /** Without `fields`: what is loaded already, or the schema's own choice. */
  load(ref: CollectionRef, partitions: "all" | readonly string[], fields?: LoadFields): Promise<Outcome<void>>;
  release(ref: CollectionRef, partitions: "all" | readonly string[]): Promise<Outcome<void>>;
  loadProgress(ref: CollectionRef, partitions: readonly string[]): Promise<Outcome<LoadProgress>>;

  // Flush and compaction, as clients ask for them
  listSegments(ref: CollectionRef): Promise<Outcome<readonly SealedSegmentMeta[]>>;
  compact(ref: CollectionRef): Promise<Outcome<{ compaction: bigint; plans: number }>>;
  compactionState(
    compaction: bigint,
  ): Promise<Outcome<{ done: boolean; plans: readonly { sources: readonly SegmentId[]; target: SegmentId }[] }>>;

  // For the nodes
  /**
   * A streaming node takes over its channels: raises their terms and gets their shards. `at` is a timestamp taken for
   * this call: one that was long under way must not take the channels from the claim that came after it (`fenced`).
   */
  claimChannels(node: NodeId, at: Timestamp): Promise<Outcome<readonly ChannelAssignment[]>>;
  commitManifest(commit: ManifestCommit): Promise<Outcome<ShardManifest>>;
  manifest(shard: ShardId): Promise<Outcome<ShardManifest>>;
  /** Where each shard is owned and which node serves its sealed segments. */
  placement(
    shards: readonly ShardId[],
  ): Promise<Outcome<readonly { shard: ShardId; streamingNode: NodeId; queryNode: NodeId }[]>>;
  reportIndexBuild(segment: SegmentId, index: IndexId, state: IndexBuildState): Promise<Outcome<void>>;
  indexesOf(collection: CollectionId): Promise<Outcome<readonly IndexInfo[]>>;
}

/** What a client wants to have loaded of every row. */
export interface LoadFields {
  /** Empty: every field that the schema does not leave out. */
  readonly names: readonly string[];
  /** Leave the dynamic field out. */
  readonly skipDynamic: boolean;
}

export type FieldMetrics = ReadonlyMap<FieldId, Metric>;
