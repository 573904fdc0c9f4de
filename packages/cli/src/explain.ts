/** `elanus explain`: asks a running server for one search or query and prints how it was answered. */
import type { NodeReport, QueryReport, SearchReport, SegmentReport } from "@elanus/model/explain";

export interface ExplainOptions {
  readonly uri: string;
  readonly collection: string;
  /** In the JSON of its type; without one it is a query by filter. */
  readonly vector?: unknown;
  readonly database?: string | undefined;
  readonly field?: string | undefined;
  readonly filter?: string | undefined;
  readonly limit: number;
  readonly token?: string | undefined;
  /** Search parameters. */
  readonly params?: unknown;
}

/** Exit code: 0 when the read was answered, 1 when it was refused. */
export async function explainRead(options: ExplainOptions): Promise<number> {
  const headers = {
    "content-type": "application/json",
    ...(options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }),
  };
  try {
    const verb = options.vector === undefined ? "query" : "search";
    const url = new URL(`/v2/vectordb/entities/${verb}`, options.uri);
    const response = await fetch(url, { method: "POST", headers, body: requestOf(options) });
    const answer = (await response.json()) as { code: number; message?: string; explain?: SearchReport | QueryReport };
    if (answer.explain === undefined) return refuse(answer.message ?? `code ${answer.code}`);
    const { explain } = answer;
    process.stdout.write(`${"searches" in explain ? reportTree(explain) : queryTree(explain)}\n`);
    return 0;
  } catch (cause) {
    return refuse(cause instanceof Error ? cause.message : String(cause));
  }
}

function requestOf(options: ExplainOptions): string {
  return JSON.stringify({
    collectionName: options.collection,
    ...(options.vector === undefined ? {} : { data: [options.vector] }),
    limit: options.limit,
    explain: true,
    searchParams: options.params ?? {},
    ...(options.database === undefined ? {} : { dbName: options.database }),
    ...(options.field === undefined ? {} : { annsField: options.field }),
    ...(options.filter === undefined ? {} : { filter: options.filter }),
  });
}

function refuse(reason: string): number {
  process.stderr.write(`elanus: ${reason}\n`);
  return 1;
}

/** A line of the tree with what stands below it. */
interface Branch {
  readonly text: string;
  readonly below: readonly Branch[];
}

/** The account of a search as an indented tree. */
export function reportTree(report: SearchReport): string {
  const { plannedMs, searchedMs, retrievedMs, totalMs } = report;
  const text = `search: ${totalMs} ms (plan ${plannedMs}, search ${searchedMs}, fetch ${retrievedMs})`;
  return lines({ text, below: report.searches.map(searchBranch) }).join("\n");
}

/** The account of a query as an indented tree. */
export function queryTree(report: QueryReport): string {
  const { limit, nodes, plannedMs, readMs, encodedMs, totalMs } = report;
  const wanted = limit === undefined ? "every match" : `the first ${limit}`;
  const text = `query of ${wanted}: ${totalMs} ms (plan ${plannedMs}, read ${readMs}, encode ${encodedMs})`;
  return lines({ text, below: nodes.map(queriedNodeBranch) }).join("\n");
}

function queriedNodeBranch(node: NodeReport): Branch {
  return { ...nodeBranch(node), below: node.segments.map(queriedBranch) };
}

function lines({ text, below }: Branch, indent = ""): string[] {
  const rest = below.flatMap((branch, at) => {
    const last = at === below.length - 1;
    const [head = "", ...tail] = lines(branch, `${indent}${last ? "   " : "│  "}`);
    return [`${indent}${last ? "└─ " : "├─ "}${head}`, ...tail];
  });
  return [text, ...rest];
}

function searchBranch(search: SearchReport["searches"][number]): Branch {
  const { field, metric, topK, queries, nodes } = search;
  return {
    text: `top ${topK} of ${field} by ${metric}, ${queries} ${queries === 1 ? "query" : "queries"}`,
    below: nodes.map(nodeBranch),
  };
}

function nodeBranch(node: NodeReport): Branch {
  const times = `waited ${node.waitedMs} ms, searched ${node.searchedMs} ms, reduced ${node.reducedMs} ms`;
  return { text: `shards ${node.shards.join(", ")}: ${times}`, below: node.segments.map(segmentBranch) };
}

function filterBranch({ filtering, estimated, actual, filterMicros }: SegmentReport): Branch[] {
  if (filtering === "none") return [];
  const share = `estimated ${percent(estimated)}, actual ${percent(actual)}`;
  return [{ text: `filter on ${FILTERED_ON[filtering]}: ${share}, ${filterMicros} µs`, below: [] }];
}

function segmentBranch(segment: SegmentReport): Branch {
  const { rows, visible, index, plans, alternatives } = segment;
  const below = filterBranch(segment);
  const weighed = alternatives.map(({ plan, cost }) => `${plan} ${Math.round(cost / 1_000)} µs`).join(", ");
  below.push({
    text: `${plans.join(", then ") || "nothing to search"}: ${segment.searchMicros} µs`,
    below: [
      ...(weighed === "" ? [] : [{ text: `estimates: ${weighed}`, below: [] }]),
      {
        text:
          `visited ${segment.visited}, distances ${segment.codeDistances} by code and ` +
          `${segment.exactDistances} exact (${segment.reranked} re-ranked), ${segment.bytesRead} bytes`,
        below: [],
      },
    ],
  });
  return { text: `segment ${segment.segment}: ${visible} of ${rows} rows, ${index ?? "no index"}`, below };
}

function queriedBranch(segment: SegmentReport): Branch {
  const { rows, visible, plans, visited, filterMicros } = segment;
  const way: Branch = { text: `${plans.join(", then ")}: ${visited} rows, ${filterMicros} µs`, below: [] };
  return {
    text: `segment ${segment.segment}: ${visible} of ${rows} rows`,
    below: [...filterBranch(segment), way],
  };
}

const FILTERED_ON: Readonly<Record<Exclude<SegmentReport["filtering"], "none">, string>> = {
  primaryKeys: "primary keys",
  pruned: "the segment's bounds",
  rows: "rows",
  candidates: "candidates",
};

function percent(share: number | undefined): string {
  return share === undefined ? "unknown" : `${(share * 100).toPrecision(3)} %`;
}
