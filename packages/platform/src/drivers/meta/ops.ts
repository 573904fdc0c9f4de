/** Catalog operations as bytes: count u32, then kind u8, key and (for a put) value, each u32 length first. */
import { Buffer } from "node:buffer";
import type { MetaOp } from "../../ports/meta.ts";

const PUT = 1;
const DELETE = 2;

export function encodeOps(ops: readonly MetaOp[]): Uint8Array {
  const parts: Uint8Array[] = [u32(ops.length)];
  for (const op of ops) {
    const key = Buffer.from(op.key);
    parts.push(Buffer.of(op.kind === "put" ? PUT : DELETE), u32(key.length), key);
    if (op.kind === "put") parts.push(u32(op.value.byteLength), op.value);
  }
  return Buffer.concat(parts);
}

/** undefined when the bytes are not what `encodeOps` writes. */
export function decodeOps(bytes: Uint8Array): readonly MetaOp[] | undefined {
  const source = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  try {
    return readOps(source);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

function readOps(source: Buffer): readonly MetaOp[] | undefined {
  const ops: MetaOp[] = [];
  let at = 4;
  const take = (): Buffer => {
    const length = source.readUInt32LE(at);
    at += 4 + length;
    if (at > source.length) throw new RangeError("operation cut short");
    return source.subarray(at - length, at);
  };
  for (let left = source.readUInt32LE(0); left > 0; left -= 1) {
    const kind = source.readUInt8(at);
    at += 1;
    if (kind !== PUT && kind !== DELETE) return undefined;
    const key = take().toString();
    ops.push(kind === PUT ? { kind: "put", key, value: take() } : { kind: "delete", key });
  }
  return at === source.length ? ops : undefined;
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value, 0);
  return bytes;
}
