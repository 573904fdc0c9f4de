/** Which partitions a request writes to or reads. */
import type { CollectionInfo } from "@elanus/model/catalog";
import type { DbError } from "@elanus/model/error";
import type { PartitionId } from "@elanus/model/id";
import { fail, succeed, type Outcome } from "@elanus/model/outcome";

const DEFAULT_PARTITION = "_default";
const MANUAL_NAMES = "not support manually specifying the partition names if partition key mode is used";

export function usesPartitionKey(info: CollectionInfo): boolean {
  return info.schema.fields.some((field) => field.partitionKey);
}

/** Targets of written rows by partition ordinal: one, or all of them in order when a key decides. */
export function writePartitions(info: CollectionInfo, name: string): Outcome<readonly PartitionId[]> {
  if (usesPartitionKey(info)) {
    if (name !== "") return fail(invalid(MANUAL_NAMES));
    return succeed(info.partitions.map((partition) => partition.id));
  }
  const wanted = name === "" ? DEFAULT_PARTITION : name;
  const found = info.partitions.find((partition) => partition.name === wanted);
  return found === undefined ? fail({ kind: "partitionNotFound", partition: wanted }) : succeed([found.id]);
}

/** Where keys are deleted; undefined: everywhere. */
export function deletePartition(info: CollectionInfo, name: string): Outcome<PartitionId | undefined> {
  if (name === "") return succeed(undefined);
  if (usesPartitionKey(info)) return fail(invalid(MANUAL_NAMES));
  const found = info.partitions.find((partition) => partition.name === name);
  return found === undefined ? fail({ kind: "partitionNotFound", partition: name }) : succeed(found.id);
}

/** Partitions that a read looks at. `ordinals` are those that the filter's partition keys leave, if any. */
export function readPartitions(
  info: CollectionInfo,
  names: readonly string[],
  ordinals: readonly number[] | undefined,
): Outcome<"all" | readonly PartitionId[]> {
  if (info.load.kind === "released") return fail({ kind: "collectionNotLoaded", collection: info.schema.name });
  const loaded = info.load.partitions;
  if (names.length > 0 && usesPartitionKey(info)) return fail(invalid(MANUAL_NAMES));
  if (names.length > 0) {
    const chosen: PartitionId[] = [];
    for (const name of new Set(names)) {
      const found = info.partitions.find((partition) => partition.name === name);
      if (found === undefined) return fail(invalid(`partition name ${name} not found`));
      if (loaded !== "all" && !loaded.includes(found.id)) return fail({ kind: "partitionNotLoaded", partition: name });
      chosen.push(found.id);
    }
    return succeed(chosen);
  }
  if (ordinals === undefined) return succeed(loaded);
  const matching = ordinals.flatMap((ordinal) => info.partitions[ordinal]?.id ?? []);
  return succeed(matching.filter((partition) => loaded === "all" || loaded.includes(partition)));
}

function invalid(message: string): DbError {
  return { kind: "invalidParameter", message };
}
