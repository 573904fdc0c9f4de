/** What the workers in JavaScript ask for: rows, queries, their nearest rows by brute force, and time. */
import { join } from "node:path";
import { openNpy, readNpy } from "../peers/npy.mjs";

export class Data {
  #truth;

  constructor(folder) {
    this.base = openNpy(join(folder, "base.npy"));
    this.queries = readNpy(join(folder, "queries.npy"));
    this.#truth = { 0: readNpy(join(folder, "truth.npy")) };
    this.dim = this.base.columns;
    this.rows = this.base.rows;
    this.asked = Math.min(200, this.queries.rows);
  }

  /** Rows start..end, one behind the other. */
  vectors(start, end) {
    return this.base.read(start, end);
  }

  query(i) {
    return this.queries.values.subarray(i * this.dim, (i + 1) * this.dim);
  }

  /** The share of the `k` nearest rows whose `part` is below `below` (0: of all) that `search(i)` finds. */
  async recall(below, k, search) {
    this.#truth[below] ??= this.#nearest(below, k);
    const { columns, values } = this.#truth[below];
    let hits = 0;
    for (let i = 0; i < this.asked; i++) {
      const wanted = new Set(values.subarray(i * columns, i * columns + k));
      for (const id of await search(i)) if (wanted.has(BigInt(id))) hits++;
    }
    return { recall: hits / (this.asked * k) };
  }

  #nearest(below, k) {
    const found = Array.from({ length: this.asked }, () => []);
    for (let start = 0; start < this.rows; start += 1_000) {
      const end = Math.min(this.rows, start + 1_000);
      const values = this.vectors(start, end);
      const kept = Array.from({ length: end - start }, (_, i) => start + i).filter((row) => row % 100 < below);
      for (const [i, best] of found.entries()) {
        const query = this.query(i);
        for (const row of kept) best.push([distance(query, values, (row - start) * this.dim), row]);
        best.sort((a, b) => a[0] - b[0]).splice(k);
      }
    }
    const keys = found.flatMap((best) => Array.from({ length: k }, (_, j) => BigInt(best[j]?.[1] ?? -1)));
    return { columns: k, values: BigInt64Array.from(keys) };
  }
}

function distance(query, values, at) {
  let sum = 0;
  for (let i = 0; i < query.length; i++) sum += (query[i] - values[at + i]) ** 2;
  return sum;
}

/** Seconds that `work` takes. */
export async function timed(work) {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1_000;
}

export async function until(reached) {
  while (!(await reached())) await new Promise((wake) => setTimeout(wake, 50));
}
