/** Index types of machines with a GPU, which the same kind of index on the CPU serves here. */
const CPU_TYPES: ReadonlyMap<string, string> = new Map([
  ["GPU_BRUTE_FORCE", "FLAT"],
  ["GPU_CAGRA", "HNSW"],
  ["GPU_IVF_FLAT", "IVF_FLAT"],
  ["GPU_IVF_PQ", "IVF_PQ"],
]);

/** The type that is built when a client asks for `type`. */
export function servedBy(type: string): string {
  return CPU_TYPES.get(type) ?? type;
}

/** What DescribeIndex adds as the parameter `note` where another type serves than the one asked for. */
export function servingNote(type: string): string | undefined {
  const own = CPU_TYPES.get(type);
  return own === undefined ? undefined : `no GPU is present: ${type} is served by ${own} on the CPU`;
}
