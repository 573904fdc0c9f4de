/** Decisions on partitions. */
import type { CollectionRef } from "@elanus/model/contract/coordinator";
import type { PartitionId } from "@elanus/model/id";
import { invalid } from "@elanus/model/error";
import { partitionNameError } from "@elanus/model/names";
import { fail, succeed, type Outcome } from "@elanus/model/outcome";
import type { Timestamp } from "@elanus/model/time";
import {
  DEFAULT_PARTITION,
  isLoaded,
  NO_CHANGE,
  partitionNamed,
  usesPartitionKey,
  type Catalog,
  type Change,
  type DdlEntry,
} from "./catalog.ts";

export interface PartitionRequest {
  readonly ref: CollectionRef;
  readonly partition: string;
  readonly id: PartitionId;
  readonly at: Timestamp;
  readonly partitionsMax: number;
}

export function createPartition(catalog: Catalog, request: PartitionRequest): Outcome<Change> {
  const name = request.partition.trim();
  const bad = partitionNameError(name);
  if (bad !== undefined) return fail(bad);
  const found = catalog.resolve(request.ref);
  if (!found.ok) return found;
  const record = found.value;
  if (usesPartitionKey(record)) return fail(invalid("disable create partition if partition key mode is used"));
  if (partitionNamed(record, name) !== undefined) return succeed(NO_CHANGE);
  const count = record.partitions.length + 1;
  if (count > request.partitionsMax) {
    return fail(invalid(`partition number (${count}) exceeds max configuration (${request.partitionsMax})`));
  }
  const partitions = [...record.partitions, { id: request.id, name, createdAt: request.at }];
  return succeed({ putCollections: [{ ...record, partitions }] });
}

export function dropPartition(catalog: Catalog, ref: CollectionRef, given: string): Outcome<Change> {
  const name = given.trim();
  const bad = partitionNameError(name);
  if (bad !== undefined) return fail(bad);
  const found = catalog.resolve(ref);
  if (!found.ok) return found;
  const record = found.value;
  if (usesPartitionKey(record)) return fail(invalid("disable drop partition if partition key mode is used"));
  if (name === DEFAULT_PARTITION) return fail(invalid("default partition cannot be deleted"));
  const partition = partitionNamed(record, name);
  if (partition === undefined) return succeed(NO_CHANGE);
  if (isLoaded(record, partition.id)) {
    return fail(invalid("partition cannot be dropped, partition is loaded, please release it first"));
  }
  const partitions = record.partitions.filter((other) => other.id !== partition.id);
  const entries = record.shards.map((shard): DdlEntry => ({ kind: "dropPartition", shard, partition: partition.id }));
  return succeed({ putCollections: [{ ...record, partitions }], entries: { collection: record.id, entries } });
}
