/** Index types of machines with a GPU, which the same kind of index on the CPU serves here. */
const CPU_TYPES: ReadonlyMap<string, string> = new Map([
  ["GPU_BRUTE_FORCE", "FLAT"],
  ["GPU_CAGRA", "HNSW"],
  ["GPU_IVF_FLAT", "IVF_FLAT"],
  ["GPU_IVF_PQ", "IVF_PQ"],
]);

/** docs/decisions/0015-automatic-index.md */
const AUTOMATIC_NOTE =
  "chosen for each segment by its rows: exact where that takes 0.1 ms, else HNSW (M 18, efConstruction 240), " +
  "for binary vectors BIN_IVF_FLAT (nlist sqrt of the rows, at most 1024)";

/** The type that is built when a client asks for `type`. */
export function servedBy(type: string): string {
  return CPU_TYPES.get(type) ?? type;
}

/** What DescribeIndex adds as the parameter `note` where another type is built than the one asked for. */
export function servingNote(asked: string, built: string): string | undefined {
  if (built === "AUTOINDEX") return AUTOMATIC_NOTE;
  const own = CPU_TYPES.get(asked);
  return own === undefined ? undefined : `no GPU is present: ${asked} is served by ${own} on the CPU`;
}
