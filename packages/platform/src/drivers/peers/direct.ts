/**
 * Roles of one process: a call to a peer is a plain call. Roles register as they start, because they need the
 * book before they exist; a call to a role that is not there yet answers `notReady`.
 */
import type { CoordinatorContract } from "@elanus/model/contract/coordinator";
import type { DataNodeContract } from "@elanus/model/contract/data-node";
import type { QueryNodeContract } from "@elanus/model/contract/query-node";
import type { StreamingNodeContract } from "@elanus/model/contract/streaming-node";
import type { NodeId } from "@elanus/model/id";
import { fail } from "@elanus/model/outcome";
import type { Peers } from "@elanus/model/peers";

export class DirectPeers implements Peers {
  #coordinator: CoordinatorContract | undefined;
  #dataNode: DataNodeContract | undefined;
  readonly #streamingNodes = new Map<NodeId, StreamingNodeContract>();
  readonly #queryNodes = new Map<NodeId, QueryNodeContract>();

  get coordinator(): CoordinatorContract {
    return this.#coordinator ?? absent<CoordinatorContract>("the coordinator");
  }

  streamingNode(id: NodeId): StreamingNodeContract {
    return this.#streamingNodes.get(id) ?? absent<StreamingNodeContract>(`streaming node ${id}`);
  }

  queryNode(id: NodeId): QueryNodeContract {
    return this.#queryNodes.get(id) ?? absent<QueryNodeContract>(`query node ${id}`);
  }

  dataNode(): DataNodeContract {
    return this.#dataNode ?? absent<DataNodeContract>("the data node");
  }

  setCoordinator(contract: CoordinatorContract): void {
    this.#coordinator = contract;
  }

  setDataNode(contract: DataNodeContract): void {
    this.#dataNode = contract;
  }

  addStreamingNode(id: NodeId, contract: StreamingNodeContract): void {
    this.#streamingNodes.set(id, contract);
  }

  addQueryNode(id: NodeId, contract: QueryNodeContract): void {
    this.#queryNodes.set(id, contract);
  }
}

/** Verbs that answer nothing or a plain value; all others answer an `Outcome`. */
const PLAIN: ReadonlySet<PropertyKey> = new Set(["release", "buildProgress", "cancelBuild"]);

/** A contract whose every verb fails with `notReady`, without a hand-written twin of each contract. */
function absent<Contract extends object>(who: string): Contract {
  const answer = (verb: PropertyKey) => () =>
    PLAIN.has(verb) ? undefined : Promise.resolve(fail({ kind: "notReady", message: `${who} has not started` }));
  return new Proxy({} as Contract, { get: (_target, verb) => answer(verb) });
}
