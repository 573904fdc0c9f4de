/** Which processes make up a database, which roles run in each, and what a running process offers. */
import type { CoordinatorContract } from "@elanus/model/contract/coordinator";
import type { DataNodeContract } from "@elanus/model/contract/data-node";
import type { ProxyContract } from "@elanus/model/contract/proxy";
import type { QueryNodeContract } from "@elanus/model/contract/query-node";
import type { StreamingNodeContract } from "@elanus/model/contract/streaming-node";
import type { NodeId } from "@elanus/model/id";
import type { RoleGate } from "./role-gate.ts";
import type { Stores } from "./storage.ts";

export type Composition = "standalone" | "three";

export type RoleName = "coordinator" | "queryNode" | "dataNode" | "streamingNode" | "proxy";

/** What a running process offers to others. */
export interface Services {
  stores?: Stores;
  coordinator?: CoordinatorContract;
  streamingNode?: StreamingNodeContract;
  queryNode?: QueryNodeContract;
  dataNode?: DataNodeContract;
  proxy?: ProxyContract;
  readonly gates: Map<RoleName, RoleGate>;
  /** Ends the roles in order. */
  stops: (() => Promise<void>)[];
}

/** A process and the roles in it; nodes are numbered from 1. */
export interface ProcessSpec {
  readonly name: string;
  readonly roles: readonly RoleName[];
  readonly node: NodeId;
  /** Keeps the files; other processes reach them through it. */
  readonly hasDisk: boolean;
}

export function node(number: number): NodeId {
  return number as NodeId;
}

export const SPECS: Readonly<Record<Composition, readonly ProcessSpec[]>> = {
  standalone: [
    {
      name: "db",
      roles: ["coordinator", "queryNode", "dataNode", "streamingNode", "proxy"],
      node: node(1),
      hasDisk: true,
    },
  ],
  three: [
    { name: "storage", roles: [], node: node(0), hasDisk: true },
    { name: "coordinator", roles: ["coordinator"], node: node(0), hasDisk: false },
    { name: "query1", roles: ["queryNode"], node: node(1), hasDisk: false },
    { name: "query2", roles: ["queryNode"], node: node(2), hasDisk: false },
    { name: "data", roles: ["dataNode"], node: node(1), hasDisk: false },
    { name: "streaming1", roles: ["streamingNode"], node: node(1), hasDisk: false },
    { name: "streaming2", roles: ["streamingNode"], node: node(2), hasDisk: false },
    { name: "streaming3", roles: ["streamingNode"], node: node(3), hasDisk: false },
    { name: "proxy", roles: ["proxy"], node: node(0), hasDisk: false },
  ],
};
