/**
 * How shard manifests are stored, and where a segment's files lie.
 *
 * A document is magic `ELNM`, version u8, kind u8, two zero bytes, CRC-32C u32 of the body (little-endian) and
 * the body: JSON with 64-bit numbers as decimal text, so that other tools can read a manifest.
 */
import type { IndexBuildState, SealedSegmentMeta, SegmentFile, ShardManifest } from "@elanus/model/catalog";
import type { CollectionId, SegmentId, ShardId } from "@elanus/model/id";
import { fail, invariant, type Outcome, succeed } from "@elanus/model/outcome";
import { crc32c } from "./crc32c.ts";
import { type DocumentReader, MalformedDocument, readDocument } from "./document-reader.ts";

const MAGIC = [0x45, 0x4c, 0x4e, 0x4d] as const;
const VERSION = 1;
const HEADER_BYTES = 12;
const KIND_MANIFEST = 2;

/** Folder of a segment's files, ending in a slash. */
export function segmentFolder(collection: CollectionId, shard: ShardId, segment: SegmentId): string {
  return `segments/${collection}/${shardOrdinalOf(shard)}/${segment}/`;
}

/** Key of one file. `label` keeps versions of one role apart: a delete file's timestamp, an index build. */
export function segmentFileKey(
  segment: { readonly collection: CollectionId; readonly shard: ShardId; readonly id: SegmentId },
  role: string,
  label = "",
): string {
  const name = role.replaceAll(":", "-");
  const suffix = label === "" ? "" : `-${label}`;
  return `${segmentFolder(segment.collection, segment.shard, segment.id)}${name}${suffix}.${extensionOf(role)}`;
}

/** Ordinal of a shard in its collection: the number after the last `v` of its name. */
export function shardOrdinalOf(shard: ShardId): number {
  const ordinal = Number(shard.slice(shard.lastIndexOf("v") + 1));
  invariant(Number.isInteger(ordinal) && ordinal >= 0, `shard name ${shard}`);
  return ordinal;
}

function extensionOf(role: string): string {
  if (role === "scalars" || role.startsWith("vector:")) return "parquet";
  return role.startsWith("index:") ? "index" : "bin";
}

export function encodeManifest(manifest: ShardManifest): Uint8Array {
  return encodeDocument(KIND_MANIFEST, manifest);
}

export function decodeManifest(bytes: Uint8Array, file: string): Outcome<ShardManifest> {
  return decodeDocument(bytes, KIND_MANIFEST, file, readManifest);
}

function encodeDocument(kind: number, value: unknown): Uint8Array {
  const text = JSON.stringify(value, (_key, item: unknown) => (typeof item === "bigint" ? item.toString() : item));
  const body = new TextEncoder().encode(text);
  const bytes = new Uint8Array(HEADER_BYTES + body.length);
  bytes.set([...MAGIC, VERSION, kind]);
  new DataView(bytes.buffer).setUint32(8, crc32c(body), true);
  bytes.set(body, HEADER_BYTES);
  return bytes;
}

function decodeDocument<T>(
  bytes: Uint8Array,
  kind: number,
  file: string,
  read: (reader: DocumentReader) => T,
): Outcome<T> {
  const corrupt = (message: string): Outcome<T> => fail({ kind: "fileCorrupt", file, message });
  if (bytes.length < HEADER_BYTES || MAGIC.some((byte, index) => bytes[index] !== byte)) {
    return corrupt("not a segment document");
  }
  if (bytes[4] !== VERSION) return corrupt(`segment document of unknown version ${bytes[4]}`);
  if (bytes[5] !== kind || bytes[6] !== 0 || bytes[7] !== 0) return corrupt("segment document of another kind");
  const body = bytes.subarray(HEADER_BYTES);
  const stored = new DataView(bytes.buffer, bytes.byteOffset).getUint32(8, true);
  if (crc32c(body) !== stored) return corrupt("segment document fails its checksum");
  try {
    return succeed(read(readDocument(body)));
  } catch (cause) {
    if (cause instanceof MalformedDocument) return corrupt(cause.message);
    throw cause;
  }
}

function readManifest(reader: DocumentReader): ShardManifest {
  return {
    shard: reader.text("shard") as ShardManifest["shard"],
    version: reader.count("version"),
    checkpoint: reader.integer64("checkpoint"),
    checkpointAt: reader.integer64("checkpointAt") as ShardManifest["checkpointAt"],
    segments: reader.list("segments", readSegmentMeta),
  };
}

function readSegmentMeta(reader: DocumentReader): SealedSegmentMeta {
  return {
    id: reader.integer64("id") as SealedSegmentMeta["id"],
    collection: reader.integer64("collection") as SealedSegmentMeta["collection"],
    partition: reader.integer64("partition") as SealedSegmentMeta["partition"],
    shard: reader.text("shard") as SealedSegmentMeta["shard"],
    rowCount: reader.count("rowCount"),
    deletedCount: reader.count("deletedCount"),
    bytes: reader.count("bytes"),
    timestampMin: reader.integer64("timestampMin") as SealedSegmentMeta["timestampMin"],
    timestampMax: reader.integer64("timestampMax") as SealedSegmentMeta["timestampMax"],
    files: reader.list("files", readFile),
    indexes: reader.list("indexes", (item) => ({
      index: item.integer64("index") as SealedSegmentMeta["indexes"][number]["index"],
      state: readBuildState(item.object("state")),
    })),
    sorted: reader.flag("sorted"),
  };
}

function readFile(reader: DocumentReader): SegmentFile {
  return {
    key: reader.text("key"),
    role: reader.text("role"),
    bytes: reader.count("bytes"),
    crc32c: reader.count("crc32c"),
  };
}

function readBuildState(reader: DocumentReader): IndexBuildState {
  const kind = reader.text("kind");
  switch (kind) {
    case "unissued":
    case "notNeeded":
      return { kind };
    case "building":
      return { kind, fraction: reader.number("fraction") };
    case "finished":
      return {
        kind,
        build: reader.integer64("build") as Extract<IndexBuildState, { kind: "finished" }>["build"],
        file: readFile(reader.object("file")),
      };
    case "failed":
      return { kind, reason: reader.text("reason") };
    default:
      throw new MalformedDocument(`unknown build state ${kind}`);
  }
}
