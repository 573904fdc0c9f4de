/** What the coordinator is told at its start. */
import type { ChannelName, NodeId } from "@elanus/model/id";

export interface CoordinatorConfig {
  /** Which streaming node owns which physical log channels. Standalone: channel `p0` on node 1. */
  readonly channels: readonly { readonly channel: ChannelName; readonly node: NodeId }[];
  /** Nodes that serve sealed segments; a shard goes to one of them. */
  readonly queryNodes: readonly NodeId[];
  /** Pause between two looks for background work: index builds, compaction, garbage. */
  readonly jobIntervalMs: number;
  /** An unreferenced object is deleted once it has been so for this long. */
  readonly garbageGraceMs: number;
  /** No compaction unless a client asks for it. */
  readonly autoCompaction: boolean;
  /** Told of the catalog's version at the start and of every new one, before what changed it is answered. */
  readonly onCatalogVersion?: (version: number) => void;
}

export const standaloneCoordinator: CoordinatorConfig = {
  channels: [{ channel: "p0" as ChannelName, node: 1 as NodeId }],
  queryNodes: [1 as NodeId],
  jobIntervalMs: 500,
  garbageGraceMs: 900_000,
  autoCompaction: true,
};
