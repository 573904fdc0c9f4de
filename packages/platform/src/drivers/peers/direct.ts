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
    return this.#streamingNodes.get(id) ?? absent<StreamingNodeContract>(`streaming node ${id}`, ["release"]);
  }

  queryNode(id: NodeId): QueryNodeContract {
    return this.#queryNodes.get(id) ?? absent<QueryNodeContract>(`query node ${id}`);
  }

  dataNode(): DataNodeContract {
    return this.#dataNode ?? absent<DataNodeContract>("the data node", ["buildProgress", "cancelBuild"]);
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

/**
 * A contract whose every verb fails with `notReady`, without a hand-written twin of each contract. `plain` verbs
 * answer no `Outcome` and say nothing.
 */
function absent<Contract extends object>(who: string, plain: readonly (keyof Contract)[] = []): Contract {
  const silent = new Set<PropertyKey>(plain);
  const answer = (verb: PropertyKey) => () =>
    silent.has(verb) ? undefined : Promise.resolve(fail({ kind: "notReady", message: `${who} has not started` }));
  return new Proxy({} as Contract, { get: (_target, verb) => answer(verb) });
}
