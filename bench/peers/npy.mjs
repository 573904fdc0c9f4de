/** NumPy's array files (format version 1 to 3): little-endian f32 and i64 in row order. */
import { openSync, readFileSync, readSync } from "node:fs";

const types = { "<f4": Float32Array, "<i8": BigInt64Array };
/** NumPy's headers are short, and padded so that the values start aligned. */
const HEADER_BYTES_MAX = 4_096;

/** The values of a two-dimensional array, row after row. Throws on other types and orders. */
export function readNpy(path) {
  const bytes = readFileSync(path);
  const { type, rows, columns, end } = shapeOf(bytes, path);
  // NumPy aligns the values to 64 bytes within the file, and large buffers of Node start aligned.
  return { rows, columns, values: new type(bytes.buffer, bytes.byteOffset + end, rows * columns) };
}

/** The same, of which `read` gives rows start..end from the file, so that the process does not hold the others. */
export function openNpy(path) {
  const file = openSync(path);
  const head = Buffer.alloc(HEADER_BYTES_MAX);
  readSync(file, head);
  const { type, rows, columns, end: first } = shapeOf(head, path);
  const read = (start, end) => {
    const values = new type((end - start) * columns);
    readSync(file, values, 0, values.byteLength, first + start * columns * type.BYTES_PER_ELEMENT);
    return values;
  };
  return { rows, columns, read };
}

function shapeOf(bytes, path) {
  const wide = bytes[6] > 1;
  const start = wide ? 12 : 10;
  const end = start + (wide ? bytes.readUInt32LE(8) : bytes.readUInt16LE(8));
  const header = bytes.toString("latin1", start, end);
  const type = types[/'descr': '([^']+)'/.exec(header)?.[1]];
  const shape = /'shape': \((\d+), (\d+)\)/.exec(header);
  if (type === undefined || shape === null || !header.includes("'fortran_order': False")) {
    throw new Error(`${path} is not a two-dimensional array of f32 or i64 in row order: ${header.trim()}`);
  }
  return { type, rows: Number(shape[1]), columns: Number(shape[2]), end };
}
