/**
 * Roles of another thread: the coordinator and the streaming nodes as a proxy calls them, over a message port. Only
 * what is asked of every request is kept nearer: the catalog's version lies in shared memory.
 */
import type { CoordinatorContract } from "@elanus/model/contract/coordinator";
import type { SearchAnswer, StreamingNodeContract } from "@elanus/model/contract/streaming-node";
import type { NodeId } from "@elanus/model/id";
import type { LogEntry } from "@elanus/model/log-record";
import { invariant, type Outcome, succeed } from "@elanus/model/outcome";
import type { ProxyPeers } from "@elanus/model/peers";
import type { AnswerShape, ReadScope, SearchPlan } from "@elanus/model/plan";
import { answerCalls, type Port, PortCalls, unanswered } from "./port-calls.ts";
import type { SharedVersion } from "./shared-version.ts";

/** A streaming node goes by its id. */
type Address = "coordinator" | NodeId;

/** Whether a verb is answered. */
type Verbs<Contract> = { readonly [Verb in keyof Contract]: "asked" | "told" };

export const coordinatorVerbs: Verbs<CoordinatorContract> = {
  allocateTimestamps: "asked",
  allocateIds: "asked",
  createDatabase: "asked",
  dropDatabase: "asked",
  alterDatabase: "asked",
  listDatabases: "asked",
  describeDatabase: "asked",
  createCollection: "asked",
  dropCollection: "asked",
  describeCollection: "asked",
  describeCollectionById: "asked",
  listCollections: "asked",
  renameCollection: "asked",
  alterCollection: "asked",
  catalogVersion: "asked",
  sealedRowCount: "asked",
  createPartition: "asked",
  dropPartition: "asked",
  createAlias: "asked",
  dropAlias: "asked",
  alterAlias: "asked",
  describeAlias: "asked",
  listAliases: "asked",
  createIndex: "asked",
  dropIndex: "asked",
  alterIndex: "asked",
  describeIndexes: "asked",
  load: "asked",
  release: "asked",
  loadProgress: "asked",
  listSegments: "asked",
  compact: "asked",
  compactionState: "asked",
  claimChannels: "asked",
  commitManifest: "asked",
  manifest: "asked",
  placement: "asked",
  reportIndexBuild: "asked",
  indexesOf: "asked",
};

export const streamingNodeVerbs: Verbs<StreamingNodeContract> = {
  append: "asked",
  search: "asked",
  query: "asked",
  count: "asked",
  retrieve: "asked",
  release: "told",
  readTimestamp: "asked",
  flush: "asked",
  growingRowCount: "asked",
  setLoad: "asked",
  manifestChanged: "asked",
  loadedPercent: "asked",
};

/** Answers of searches that come to this thread past the port. */
export interface Deliveries {
  /** `delivered` when it was forgotten: the answer came over the port. */
  open(): { readonly id: number; readonly answer: Promise<Outcome<SearchAnswer>> };
  forget(id: number): void;
}

/** Peers over `port`, at whose other end `servePeers` answers. `catalogVersion` is set there. */
export class PortPeers implements ProxyPeers {
  readonly coordinator: CoordinatorContract;
  readonly #calls: PortCalls<Address>;
  readonly #deliveries: Deliveries | undefined;
  readonly #shapes = new SentShapes();
  readonly #streamingNodes = new Map<NodeId, StreamingNodeContract>();

  constructor(port: Port, catalogVersion: SharedVersion, deliveries?: Deliveries) {
    this.#deliveries = deliveries;
    this.#calls = new PortCalls(port);
    this.coordinator = {
      ...stubOf(coordinatorVerbs, this.#calls, "coordinator"),
      catalogVersion: () => Promise.resolve(succeed(catalogVersion.value)),
    };
  }

  streamingNode(id: NodeId): StreamingNodeContract {
    const known = this.#streamingNodes.get(id);
    if (known !== undefined) return known;
    const made: StreamingNodeContract = {
      ...stubOf(streamingNodeVerbs, this.#calls, id),
      search: (scope, plan) =>
        plan.answer === undefined
          ? (this.#calls.ask(id, "search", [scope, plan]) as ReturnType<StreamingNodeContract["search"]>)
          : this.#answer(id, scope, plan, plan.answer),
    };
    this.#streamingNodes.set(id, made);
    return made;
  }

  /** A search that may be answered past the port. */
  async #answer(id: NodeId, scope: ReadScope, plan: SearchPlan, shape: AnswerShape): Promise<Outcome<SearchAnswer>> {
    const delivery = this.#deliveries?.open();
    let isDelivered = false;
    const elsewhere = delivery?.answer.then((answer) => {
      isDelivered = true;
      return answer;
    });
    const args = [scope, ...this.#shapes.apart({ ...plan, deliverTo: delivery?.id, answer: undefined }, shape)];
    const found = (await this.#calls.ask(id, "search", args, elsewhere)) as Outcome<SearchAnswer>;
    if (delivery !== undefined && !isDelivered) this.#deliveries?.forget(delivery.id);
    return found;
  }
}

/** Answers the calls of a `PortPeers`. `release` frees bytes that were sent here, when nobody needs them any more. */
export function servePeers(port: Port, peers: ProxyPeers, release: (bytes: ArrayBufferLike) => void): void {
  const shapes = new ReceivedShapes();
  answerCalls<Address>(port, (address, verb, args) => {
    if (address === "coordinator") return callOf(peers.coordinator, verb, args);
    const node = peers.streamingNode(address);
    if (verb === "search") return search(node, shapes.together(args as SearchArguments));
    if (verb === "append") return append(node, args as Parameters<StreamingNodeContract["append"]>, release);
    return callOf(node, verb, args);
  });
}

function stubOf<Contract extends object>(
  verbs: Verbs<Contract>,
  calls: PortCalls<Address>,
  address: Address,
): Contract {
  const stubs = Object.entries(verbs).map(([verb, manner]) => [
    verb,
    manner === "asked"
      ? (...args: readonly unknown[]) => calls.ask(address, verb, args)
      : (...args: readonly unknown[]) => calls.tell(address, verb, args),
  ]);
  return Object.fromEntries(stubs) as Contract;
}

function callOf(contract: object, verb: string, args: readonly unknown[]): unknown {
  return (contract as Readonly<Record<string, (...args: readonly unknown[]) => unknown>>)[verb]?.(...args);
}

async function search(
  node: StreamingNodeContract,
  args: Parameters<StreamingNodeContract["search"]>,
): Promise<Outcome<SearchAnswer> | typeof unanswered> {
  const found = await node.search(...args);
  return found.ok && found.value.delivered === true ? unanswered : found;
}

/** Rows that are in the log and applied are nobody's; the garbage collector would let them pile up. */
async function append(
  node: StreamingNodeContract,
  [entries, deadlineMs]: Parameters<StreamingNodeContract["append"]>,
  release: (bytes: ArrayBufferLike) => void,
): ReturnType<StreamingNodeContract["append"]> {
  const done = await node.append(entries, deadlineMs);
  if (done.ok) for (const bytes of rowsOf(entries)) release(bytes.buffer);
  return done;
}

function rowsOf(entries: readonly LogEntry[]): readonly Uint8Array[] {
  return entries.flatMap((entry) => (entry.kind === "insert" ? [entry.rows] : []));
}

/** Shapes of answers that both ends remember; they are forgotten together when there are more. */
const SHAPES_MAX = 1_024;

/** A search whose answer's shape goes by a number: with the shape itself, when the number is new. */
type SearchArguments = readonly [
  scope: Parameters<StreamingNodeContract["search"]>[0],
  plan: SearchPlan,
  name?: number,
  shape?: AnswerShape,
];

/** Shapes hold a whole schema, and clients repeat themselves; the far end keeps one object for each, compiled once. */
class SentShapes {
  readonly #names = new Map<AnswerShape, number>();

  /** `bare`: the plan without the shape. */
  apart(bare: SearchPlan, shape: AnswerShape): readonly [SearchPlan, number, AnswerShape?] {
    const known = this.#names.get(shape);
    if (known !== undefined) return [bare, known];
    if (this.#names.size >= SHAPES_MAX) this.#names.clear();
    const name = this.#names.size;
    this.#names.set(shape, name);
    return [bare, name, shape];
  }
}

/** Messages keep their order, so a number means here what it meant there when it was sent. */
class ReceivedShapes {
  readonly #shapes = new Map<number, AnswerShape>();

  together([scope, plan, name, shape]: SearchArguments): Parameters<StreamingNodeContract["search"]> {
    if (name === undefined) return [scope, plan];
    // The far end has begun anew.
    if (name === 0 && shape !== undefined) this.#shapes.clear();
    if (shape !== undefined) this.#shapes.set(name, shape);
    const answer = this.#shapes.get(name);
    invariant(answer !== undefined, "a shape is sent before it is named");
    return [scope, Object.assign(plan, { answer })];
  }
}
