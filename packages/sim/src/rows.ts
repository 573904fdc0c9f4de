/** Rows whose every field follows from key, version and writer, so that any answer can be checked byte by byte. */
import type { SeenRow } from "./history.ts";
import { hashText } from "./random.ts";

export const DIM = 4;
export const BUCKETS = 4;

export interface SimRow {
  readonly id: number;
  readonly version: number;
  readonly tag: string;
  readonly bucket: number;
  readonly vec: readonly number[];
}

export function rowOf(key: string, version: number, writer: number): SimRow {
  const id = Number(key);
  return {
    id,
    version,
    tag: `${writer}-${hashText(`${key}/${version}/${writer}`).toString(16)}`,
    bucket: version % BUCKETS,
    vec: vectorOf(key, version),
  };
}

export function vectorOf(key: string, version: number): readonly number[] {
  const axes = Array.from({ length: DIM }, (_, axis) => hashText(`${key}:${version}:${axis}`));
  return axes.map((bits) => Math.fround((bits % 20_001) / 10_000 - 1));
}

/** A row as an answer shows it. `distance` is there after a search. */
export function seenRow(answer: unknown): SeenRow {
  const row = answer as Partial<SimRow> & { readonly distance?: number };
  const key = String(row.id);
  const version = Number(row.version);
  const writer = Number(String(row.tag).split("-")[0]);
  const expected = rowOf(key, version, writer);
  const isSound =
    row.tag === expected.tag &&
    row.bucket === expected.bucket &&
    row.vec?.length === DIM &&
    expected.vec.every((value, axis) => Math.fround(row.vec?.[axis] ?? Number.NaN) === value);
  return row.distance === undefined ? { key, version, isSound } : { key, version, isSound, distance: row.distance };
}

/** Squared Euclidean distance, as the engine scores L2. */
export function distanceOf(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, value, axis) => sum + (value - (b[axis] ?? 0)) ** 2, 0);
}
