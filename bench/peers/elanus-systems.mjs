/**
 * Elanus's index types as the comparison runs them: build parameters as a Milvus client sends them, and search
 * parameters at a setting `at` of the peers' sweep (ef, or nprobe). Without a type: brute force.
 */
const graph = { M: 16, efConstruction: 200 };
const lists = { nlist: 1_024 };
const ef = (at, k) => ({ ef: Math.max(at, k) });
const nprobe = (at) => ({ nprobe: at });

export const systems = {
  HNSW: { group: "graph", type: "HNSW", build: graph, search: ef },
  HNSW_SQ: {
    group: "graph",
    type: "HNSW_SQ",
    build: { ...graph, sq_type: "SQ8", refine: true, refine_type: "FP32" },
    search: ef,
  },
  DISKANN: {
    group: "graph",
    type: "DISKANN",
    build: {},
    search: (at, k) => ({ search_list: Math.max(at, k) }),
  },
  FLAT: { group: "flat", build: {}, search: () => ({}) },
  "FLAT x64": { group: "flat-batch", build: {}, search: () => ({}), batch: 64 },
  IVF_FLAT: { group: "ivf-flat", type: "IVF_FLAT", build: lists, search: nprobe },
  IVF_SQ8: { group: "ivf-sq8", type: "IVF_SQ8", build: lists, search: nprobe },
  IVF_PQ: { group: "ivf-pq", type: "IVF_PQ", build: { ...lists, m: 96, nbits: 8 }, search: nprobe },
  IVF_RABITQ: {
    group: "ivf-rabitq",
    type: "IVF_RABITQ",
    build: { ...lists, refine: true, refine_type: "FP32" },
    search: (at) => ({ nprobe: at, refine_k: 10 }),
  },
  SCANN: {
    group: "scann",
    type: "SCANN",
    build: { ...lists, with_raw_data: true },
    search: (at, k) => ({ nprobe: at, reorder_k: 10 * k }),
  },
};

if (import.meta.filename === process.argv[1]) process.stdout.write(JSON.stringify(systems));
