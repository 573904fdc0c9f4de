/** Build and load parameters of the graphs on disk (contract/indexes.md 10 and 11). */
import type { CreateIndex } from "@elanus/model/contract/coordinator";
import { succeed } from "@elanus/model/outcome";
import type { Outcome } from "@elanus/model/outcome";
import { flag, float, integer, type Sent } from "./build-param.ts";

type BuildParams = CreateIndex["params"];
const INT_MAX = 2_147_483_647;
const GIB = 1_073_741_824;

/** What only has to make sense: the page cache decides what of the nodes is kept, and builds stream them. */
const BUDGETS = [
  ["search_cache_budget_gb_ratio", "[0, 0.3)"],
  ["search_cache_budget_gb", "[0, 1048576]"],
  ["build_dram_budget_gb_ratio", "[0, 1024]"],
  ["build_dram_budget_gb", "[0, 1048576]"],
  ["pq_code_budget_gb", "[0, 1048576]"],
  ["disk_pq_code_budget_gb_ratio", "[0, 1]"],
  ["beam_width_ratio", "[1, 128]"],
] as const;
const COUNTS = [
  ["disk_pq_dims", 0, INT_MAX],
  ["inline_pq", -1, 2048],
  ["num_entry_points", 0, 1000],
  ["pq_cache_size", 0, GIB],
  ["pq_read_page_cache_size", 0, GIB / 32],
] as const;
const SWITCHES = ["accelerate_build", "warm_up", "use_bfs_cache", "rearrange"] as const;

/** Parameters of DISKANN and AISAQ; the share of the rows' bytes that codes may have is kept as sent. */
export function diskParams(type: string, sent: Sent): Outcome<BuildParams> {
  const degree = integer(sent, "max_degree", [1, 2048], 56);
  if (!degree.ok) return degree;
  const list = integer(sent, "search_list_size", [1, INT_MAX], 100);
  if (!list.ok) return list;
  const codes = float(sent, "pq_code_budget_gb_ratio", type === "AISAQ" ? "[0, 1]" : "[0, 0.25]");
  if (!codes.ok) return codes;
  const others = checkOthers(sent);
  if (!others.ok) return others;
  return succeed({
    max_degree: degree.value,
    search_list_size: list.value,
    pq_code_budget_gb_ratio: codes.value ?? 0.125,
  });
}

function checkOthers(sent: Sent): Outcome<void> {
  for (const [key, range] of BUDGETS) {
    const budget = float(sent, key, range);
    if (!budget.ok) return budget;
  }
  for (const [key, low, high] of COUNTS) {
    const count = integer(sent, key, [low, high], 0);
    if (!count.ok) return count;
  }
  for (const key of SWITCHES) {
    const wanted = flag(sent, key);
    if (!wanted.ok) return wanted;
  }
  return succeed(undefined);
}
