/** What the generated codecs stand on: protobufjs's reader and writer, bounds, and 64 bits as bigint. */
import Long from "long";
import protobuf from "protobufjs/minimal.js";

type Reader = protobuf.Reader;
type Writer = protobuf.Writer;

/** A message to encode: every field may be left out. */
export type Init<T> = T extends Uint8Array | string | number | bigint | boolean | undefined
  ? T
  : T extends ReadonlyMap<infer K, infer V>
    ? ReadonlyMap<K, Init<V>>
    : T extends readonly (infer U)[]
      ? readonly Init<U>[]
      : { readonly [K in keyof T]?: Init<T[K]> | undefined };

export type Mutable<T> = { -readonly [K in keyof T]: T[K] };

export interface Codec<T> {
  /** Dotted name below its package, for instance `milvus.InsertRequest`. */
  readonly name: string;
  decode(reader: Reader, end: number, depth: number): T;
  encode(writer: Writer, message: Init<T>): void;
}

export interface Method<Request, Response> {
  readonly name: string;
  readonly request: Codec<Request>;
  readonly response: Codec<Response>;
  readonly streaming: boolean;
  /** The response's field of type Status, or "self" when it is one. */
  readonly statusField: string | undefined;
}

/** The bytes are not a message of the expected type. */
export class MalformedMessage extends Error {
  constructor(what: string) {
    super(what);
    this.name = "MalformedMessage";
  }
}

/** As protobuf's own implementations: deeper messages are refused before they exhaust the stack. */
const NESTING_MAX = 100;

export const emptyBytes: Uint8Array = new Uint8Array(0);

/** Throws `MalformedMessage`, never anything else. Byte fields are views of `bytes`. */
export function decode<T>(codec: Codec<T>, bytes: Uint8Array): T {
  const reader = new protobuf.Reader(bytes);
  try {
    return codec.decode(reader, bytes.length, 0);
  } catch (error) {
    if (error instanceof MalformedMessage) throw error;
    throw new MalformedMessage(error instanceof Error ? error.message : String(error));
  }
}

export function encode<T>(codec: Codec<T>, message: Init<T>): Uint8Array {
  const writer = protobuf.Writer.create();
  codec.encode(writer, message);
  return writer.finish();
}

export function checkDepth(depth: number): void {
  if (depth > NESTING_MAX) throw new MalformedMessage(`messages are nested deeper than ${NESTING_MAX}`);
}

export function checkEnd(reader: Reader, end: number): void {
  if (reader.pos !== end) throw new MalformedMessage("a field reaches beyond its message");
}

/** Reads a length and gives the position right after the delimited part. */
export function endOf(reader: Reader, end: number): number {
  const length = reader.uint32();
  if (length > end - reader.pos) throw new MalformedMessage("a length reaches beyond its message");
  return reader.pos + length;
}

export function readBytes(reader: Reader, end: number): Uint8Array {
  const start = reader.pos;
  const stop = endOf(reader, end);
  const from = reader.pos;
  if (stop < start) throw new MalformedMessage("negative length");
  reader.pos = stop;
  return reader.buf.subarray(from, stop);
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Most strings are short and plain; a decoder costs more than they do. */
const PLAIN_LENGTH_MAX = 48;

export function readString(reader: Reader, end: number): string {
  const bytes = readBytes(reader, end);
  if (bytes.length === 0) return "";
  if (bytes.length <= PLAIN_LENGTH_MAX && bytes instanceof Buffer && isAscii(bytes)) return bytes.toString("latin1");
  try {
    return utf8.decode(bytes);
  } catch {
    throw new MalformedMessage("a string is not valid UTF-8");
  }
}

function isAscii(bytes: Uint8Array): boolean {
  for (let at = 0; at < bytes.length; at++) if ((bytes[at] ?? 0) > 0x7f) return false;
  return true;
}

export function readInt64(reader: Reader): bigint {
  const { low, high } = reader.int64();
  return (BigInt(high) << 32n) | BigInt(low >>> 0);
}

export function readUint64(reader: Reader): bigint {
  const { low, high } = reader.uint64();
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
}

export function longOf(value: bigint): Long {
  return Long.fromBits(Number(BigInt.asIntN(32, value)), Number(BigInt.asIntN(32, value >> 32n)), false);
}

export function unsignedLongOf(value: bigint): Long {
  return Long.fromBits(Number(BigInt.asIntN(32, value)), Number(BigInt.asIntN(32, value >> 32n)), true);
}

export function skipField(reader: Reader, tag: number, end: number): void {
  if (tag >>> 3 === 0) throw new MalformedMessage("field number 0");
  reader.skipType(tag & 7, 0, tag >>> 3);
  if (reader.pos > end) throw new MalformedMessage("a field reaches beyond its message");
}
