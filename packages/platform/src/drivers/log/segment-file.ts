/**
 * Bytes of one log segment file (docs/formats/log.md): a header, then records. Every check sum starts from the
 * header's, so that a record copied or written to the wrong file does not pass for one of this file.
 */
import { Buffer } from "node:buffer";
import { crc32 } from "node:zlib";
import type { LogPosition, Term } from "@elanus/model/id";

export const HEADER_BYTES = 24;
export const RECORD_HEADER_BYTES = 20;
const MAGIC = 0x47_4c_4c_45;
const VERSION = 1;

export interface SegmentHeader {
  readonly term: Term;
  /** Position of the first record. */
  readonly first: LogPosition;
  /** Start value of the records' check sums. */
  readonly seed: number;
}

export interface SegmentRecord {
  readonly position: LogPosition;
  readonly bytes: Uint8Array;
  /** Every record up to here was durable before this one was written. */
  readonly durableBefore: LogPosition;
}

export function encodeHeader(term: Term, first: LogPosition): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32LE(MAGIC, 0);
  header.writeUInt32LE(VERSION, 4);
  header.writeUInt32LE(term, 8);
  header.writeBigUInt64LE(first, 12);
  header.writeUInt32LE(crc32(header.subarray(0, 20)), 20);
  return header;
}

/** The header, or what is wrong with it. */
export function decodeHeader(bytes: Uint8Array): SegmentHeader | string {
  const header = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (header.length < HEADER_BYTES) return "header cut short";
  if (header.readUInt32LE(0) !== MAGIC) return "not a log segment file";
  const seed = crc32(header.subarray(0, 20));
  if (header.readUInt32LE(20) !== seed) return "header check sum is wrong";
  if (header.readUInt32LE(4) !== VERSION) return `version ${header.readUInt32LE(4)} is not known`;
  return { term: header.readUInt32LE(8) as Term, first: header.readBigUInt64LE(12) as LogPosition, seed };
}

/** Header of a record; the pieces of its payload follow it in the file. */
export function encodeRecordHeader(
  seed: number,
  position: LogPosition,
  since: number,
  pieces: readonly Uint8Array[],
): Buffer {
  const header = Buffer.alloc(RECORD_HEADER_BYTES);
  header.writeUInt32LE(bytesOf(pieces), 0);
  header.writeBigUInt64LE(position, 8);
  header.writeUInt32LE(since, 16);
  header.writeUInt32LE(checksum(seed, header, pieces), 4);
  return header;
}

/** Bytes of the whole record that begins with `header`, before anything of it is verified. */
export function claimedBytes(header: Buffer): number {
  return RECORD_HEADER_BYTES + header.readUInt32LE(0);
}

/** The record at the start of `bytes`, which hold at least what it claims; undefined when it is not sound. */
export function decodeRecord(seed: number, bytes: Buffer): SegmentRecord | undefined {
  const payload = bytes.subarray(RECORD_HEADER_BYTES, claimedBytes(bytes));
  if (bytes.readUInt32LE(4) !== checksum(seed, bytes, [payload])) return undefined;
  const position = bytes.readBigUInt64LE(8);
  const since = bytes.readUInt32LE(16);
  return {
    position: position as LogPosition,
    bytes: payload,
    durableBefore: (position - BigInt(since)) as LogPosition,
  };
}

/**
 * Whether the bytes that follow an unsound record prove that record `lost` had been durable: a sound record
 * that was written after it. Without one the damage is what a crash leaves of writes that nobody was told of.
 */
export function provesDurable(seed: number, lost: LogPosition, tail: Buffer): boolean {
  const countMax = tail.length / RECORD_HEADER_BYTES;
  const low = Number(lost & 0xff_ff_ff_ffn);
  for (let at = 0; at + RECORD_HEADER_BYTES <= tail.length; at += 1) {
    // Cheap refusal first: positions that may stand here are few, so almost no offset gets further.
    const ahead = (tail.readUInt32LE(at + 8) - low) >>> 0;
    if (ahead > countMax) continue;
    const candidate = tail.subarray(at);
    if (claimedBytes(candidate) > candidate.length) continue;
    const record = decodeRecord(seed, candidate);
    if (record !== undefined && record.position > lost && record.durableBefore >= lost) return true;
  }
  return false;
}

export function bytesOf(pieces: readonly Uint8Array[]): number {
  return pieces.reduce((sum, piece) => sum + piece.byteLength, 0);
}

function checksum(seed: number, header: Buffer, pieces: readonly Uint8Array[]): number {
  const ofLength = crc32(header.subarray(0, 4), seed);
  const ofHeader = crc32(header.subarray(8, RECORD_HEADER_BYTES), ofLength);
  // Of no bytes zlib gives its start value 0, not the sum so far.
  return pieces.reduce((sum, piece) => (piece.byteLength === 0 ? sum : crc32(piece, sum)), ofHeader);
}
