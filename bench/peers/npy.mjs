/** NumPy's array files (format version 1 to 3): little-endian f32 and i64 in row order. */
import { readFileSync } from "node:fs";

const types = { "<f4": Float32Array, "<i8": BigInt64Array };

/** The values of a two-dimensional array, row after row. Throws on other types and orders. */
export function readNpy(path) {
  const bytes = readFileSync(path);
  const wide = bytes[6] > 1;
  const start = wide ? 12 : 10;
  const end = start + (wide ? bytes.readUInt32LE(8) : bytes.readUInt16LE(8));
  const header = bytes.toString("latin1", start, end);
  const type = /'descr': '([^']+)'/.exec(header)?.[1];
  const shape = /'shape': \((\d+), (\d+)\)/.exec(header);
  if (types[type] === undefined || shape === null || !header.includes("'fortran_order': False")) {
    throw new Error(`${path} is not a two-dimensional array of f32 or i64 in row order: ${header.trim()}`);
  }
  const [rows, columns] = [Number(shape[1]), Number(shape[2])];
  // NumPy aligns the values to 64 bytes within the file, and large buffers of Node start aligned.
  return { rows, columns, values: new types[type](bytes.buffer, bytes.byteOffset + end, rows * columns) };
}
