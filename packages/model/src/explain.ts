/** What EXPLAIN tells of a read: per node, per segment, of a search per sub-search. Names of times say their unit. */

/** One segment's account, written by native code (`native/column`, `explain.rs`). */
export interface SegmentReport {
  readonly segment: string;
  readonly rows: number;
  /** Rows that the snapshot sees. */
  readonly visible: number;
  readonly filtering: "none" | "primaryKeys" | "pruned" | "rows" | "candidates";
  /** Share of the visible rows that the filter was expected to let through. */
  readonly estimated?: number;
  /** Share that it did let through; unknown when only candidates were tried. */
  readonly actual?: number;
  readonly filterMicros: number;
  /** Type of the vector index; absent: none. */
  readonly index?: string;
  /** Ways taken, in the order of the first use. */
  readonly plans: readonly string[];
  /** Estimated cost of each way that was weighed, in nanoseconds. */
  readonly alternatives: readonly { readonly plan: string; readonly cost: number }[];
  /** Graph nodes or list entries met. */
  readonly visited: number;
  readonly codeDistances: number;
  readonly exactDistances: number;
  /** Those of the exact distances that checked what codes had found. */
  readonly reranked: number;
  readonly bytesRead: number;
  readonly searchMicros: number;
}

/** One streaming node with the query nodes it asked. */
export interface NodeReport {
  readonly shards: readonly string[];
  /** Waiting until the shards had applied everything up to the snapshot, and for segments to open. */
  readonly waitedMs: number;
  readonly searchedMs: number;
  readonly reducedMs: number;
  readonly segments: readonly SegmentReport[];
}

export interface SearchReport {
  readonly searches: readonly {
    readonly field: string;
    readonly metric: string;
    readonly topK: number;
    readonly queries: number;
    readonly nodes: readonly NodeReport[];
    readonly reducedMs: number;
  }[];
  readonly plannedMs: number;
  readonly searchedMs: number;
  readonly retrievedMs: number;
  readonly totalMs: number;
}

/** Of a query or a count: `visited` of a segment is how many rows it gave. */
export interface QueryReport {
  /** offset + limit; absent: every match. */
  readonly limit?: number;
  readonly nodes: readonly NodeReport[];
  readonly plannedMs: number;
  readonly readMs: number;
  readonly encodedMs: number;
  readonly totalMs: number;
}

/** Sum of a counter over all segments of all searches. */
export function totalOf(
  report: SearchReport,
  counter: "visited" | "codeDistances" | "exactDistances" | "reranked" | "bytesRead",
): number {
  const segments = report.searches.flatMap(({ nodes }) => nodes.flatMap((node) => node.segments));
  return segments.reduce((sum, segment) => sum + segment[counter], 0);
}
