/** How roles find each other: typed by contract, plain calls in one process, a transport between processes. */
import type { NodeId } from "./id.ts";
import type { CoordinatorContract } from "./contract/coordinator.ts";
import type { DataNodeContract } from "./contract/data-node.ts";
import type { QueryNodeContract } from "./contract/query-node.ts";
import type { StreamingNodeContract } from "./contract/streaming-node.ts";

export interface Peers {
  readonly coordinator: CoordinatorContract;
  streamingNode(id: NodeId): StreamingNodeContract;
  queryNode(id: NodeId): QueryNodeContract;
  dataNode(): DataNodeContract;
}

/** Those that a proxy speaks to. All their verbs are asynchronous, so a proxy may live on another thread. */
export type ProxyPeers = Pick<Peers, "coordinator" | "streamingNode">;
