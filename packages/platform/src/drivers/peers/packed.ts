/** Bytes on their way to another thread: what a structured clone would carry along or copy twice. */

/** From here on bytes travel in a buffer of their own, which is handed over: one copy in place of two. */
const APART_BYTES_MIN = 16 * 1_024;

/**
 * `value` as it goes into a message: plain data, arrays, maps and `Uint8Array`s. The sender keeps its bytes: native
 * code owns most large ones, and its memory cannot be handed over. Buffers to hand over are added to `transfer`.
 * What holds nothing to change is given back as it is.
 */
export function packed(value: unknown, transfer: ArrayBuffer[]): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Uint8Array) return packedBytes(value, transfer);
  if (Array.isArray(value)) return packedArray(value, transfer);
  if (value instanceof Map) return new Map([...value].map(([key, held]) => [key, packed(held, transfer)]));
  let copy: Record<string, unknown> | undefined;
  for (const [key, held] of Object.entries(value)) {
    const own = packed(held, transfer);
    if (own === held) continue;
    copy ??= { ...value };
    copy[key] = own;
  }
  return copy ?? value;
}

function packedArray(values: readonly unknown[], transfer: ArrayBuffer[]): readonly unknown[] {
  const own = values.map((held) => packed(held, transfer));
  return own.every((held, at) => held === values[at]) ? values : own;
}

/** A clone takes the whole buffer along, however little of it the bytes are. */
function packedBytes(bytes: Uint8Array, transfer: ArrayBuffer[]): Uint8Array {
  if (bytes.length < APART_BYTES_MIN) {
    return bytes.length === bytes.buffer.byteLength ? bytes : Uint8Array.prototype.slice.call(bytes);
  }
  const buffer = new ArrayBuffer(bytes.length);
  const own = new Uint8Array(buffer);
  own.set(bytes);
  transfer.push(buffer);
  return own;
}
