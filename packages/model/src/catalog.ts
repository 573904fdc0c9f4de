/** What the coordinator knows of databases, collections, partitions, aliases, indexes and loading. */
import type { BuildId, CollectionId, DatabaseId, FieldId, IndexId, PartitionId, SegmentId, ShardId } from "./id.ts";
import type { CollectionSchema } from "./schema.ts";
import type { ConsistencyLevel, Timestamp } from "./time.ts";

export type Properties = Readonly<Record<string, string>>;

export interface DatabaseInfo {
  readonly id: DatabaseId;
  readonly name: string;
  readonly createdAt: Timestamp;
  readonly properties: Properties;
}

export interface PartitionInfo {
  readonly id: PartitionId;
  readonly name: string;
  readonly createdAt: Timestamp;
}

export interface CollectionInfo {
  readonly id: CollectionId;
  readonly database: string;
  readonly databaseId: DatabaseId;
  readonly schema: CollectionSchema;
  readonly shards: readonly ShardId[];
  readonly partitions: readonly PartitionInfo[];
  readonly aliases: readonly string[];
  readonly indexes: readonly IndexInfo[];
  readonly consistency: ConsistencyLevel;
  readonly properties: Properties;
  readonly createdAt: Timestamp;
  /** Last schema or property change; clients send it back as `schema_timestamp`. */
  readonly updatedAt: Timestamp;
  readonly load: LoadState;
}

export type LoadState =
  | { readonly kind: "released" }
  | ({ readonly kind: "loading"; readonly percent: number } & LoadedParts)
  | ({ readonly kind: "loaded" } & LoadedParts);

export interface LoadedParts {
  /** "all" also covers partitions created later. */
  readonly partitions: "all" | readonly PartitionId[];
  /** Fields that reads may name, ascending; absent: all. */
  readonly fields?: readonly FieldId[];
}

export interface IndexInfo {
  readonly id: IndexId;
  readonly name: string;
  readonly field: FieldId;
  /** Type in Milvus's spelling; AUTOINDEX: chosen for each segment when it is built. */
  readonly type: string;
  /** Upper case; absent for scalar indexes. */
  readonly metric?: Metric;
  /** Checked build parameters, numbers as numbers. */
  readonly params: Readonly<Record<string, string | number | boolean>>;
  /** What the client sent, echoed by DescribeIndex. */
  readonly userParams: readonly { readonly key: string; readonly value: string }[];
  readonly createdAt: Timestamp;
}

export type Metric =
  | "L2"
  | "IP"
  | "COSINE"
  | "BM25"
  | "HAMMING"
  | "JACCARD"
  | "SUBSTRUCTURE"
  | "SUPERSTRUCTURE"
  | "MHJACCARD";

export function largerIsBetter(metric: Metric): boolean {
  return metric === "IP" || metric === "COSINE" || metric === "BM25" || metric === "MHJACCARD";
}

export type IndexBuildState =
  | { readonly kind: "unissued" }
  | { readonly kind: "building"; readonly fraction: number }
  | { readonly kind: "finished"; readonly build: BuildId; readonly file: SegmentFile }
  /** A segment below the index threshold: searched by brute force, counts as indexed. */
  | { readonly kind: "notNeeded" }
  | { readonly kind: "failed"; readonly reason: string };

/** One immutable object of a segment. `crc32c` and `bytes` are of the whole object. */
export interface SegmentFile {
  /** Key in the object store. */
  readonly key: string;
  /** `scalars`, `vector:<fieldId>`, `statistics`, `deletes`, `index:<indexId>`. */
  readonly role: string;
  readonly bytes: number;
  readonly crc32c: number;
}

export interface SealedSegmentMeta {
  readonly id: SegmentId;
  readonly collection: CollectionId;
  readonly partition: PartitionId;
  readonly shard: ShardId;
  readonly rowCount: number;
  /** Rows with a tombstone in the newest delete file. */
  readonly deletedCount: number;
  readonly bytes: number;
  readonly timestampMin: Timestamp;
  readonly timestampMax: Timestamp;
  readonly files: readonly SegmentFile[];
  readonly indexes: readonly { readonly index: IndexId; readonly state: IndexBuildState }[];
  /** True once the rows are sorted by primary key. */
  readonly sorted: boolean;
}

/** The immutable list of a shard's sealed segments at one version. */
export interface ShardManifest {
  readonly shard: ShardId;
  readonly version: number;
  /** Every record at or below it is reflected in `segments`; replay starts right after. */
  readonly checkpoint: bigint;
  /** Timestamp of that record. */
  readonly checkpointAt: Timestamp;
  readonly segments: readonly SealedSegmentMeta[];
}
