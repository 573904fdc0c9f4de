/** Two ends of a channel in one thread: what a role is asked and what it answers passes through unchanged. */
import { MessageChannel, type MessagePort } from "node:worker_threads";
import type { CoordinatorContract } from "@elanus/model/contract/coordinator";
import type { SearchAnswer, StreamingNodeContract } from "@elanus/model/contract/streaming-node";
import type { NodeId, PinId } from "@elanus/model/id";
import { fail, type Outcome, succeed } from "@elanus/model/outcome";
import type { AnswerShape, SearchPlan } from "@elanus/model/plan";
import * as fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { answerCalls, PortCalls } from "./port-calls.ts";
import { coordinatorVerbs, type Deliveries, PortPeers, servePeers, streamingNodeVerbs } from "./port.ts";
import { SharedVersion } from "./shared-version.ts";

type Verb = (...args: readonly unknown[]) => Promise<unknown>;
type Verbs = Readonly<Record<string, Verb>>;

const node = 7 as NodeId;
const open: MessagePort[] = [];
afterEach(() => {
  for (const port of open.splice(0)) port.close();
});

function channel(): { near: MessagePort; far: MessagePort } {
  const { port1: near, port2: far } = new MessageChannel();
  open.push(near);
  return { near, far };
}

/** Peers whose every verb calls `answer`; what was freed at the far end is listed. */
function peersOver(answer: (verb: string, args: readonly unknown[]) => unknown, deliveries?: Deliveries) {
  const { near, far } = channel();
  const role = new Proxy(
    {},
    {
      get:
        (_, verb) =>
        (...args: readonly unknown[]) =>
          answer(String(verb), args),
    },
  );
  const asked: NodeId[] = [];
  const released: ArrayBufferLike[] = [];
  const streamingNode = (id: NodeId): StreamingNodeContract => {
    asked.push(id);
    return role as StreamingNodeContract;
  };
  const version = new SharedVersion();
  servePeers(far, { coordinator: role as CoordinatorContract, streamingNode }, (bytes) => released.push(bytes));
  return { peers: new PortPeers(near, new SharedVersion(version.memory), deliveries), asked, released, version };
}

/** What verbs are given and give: plain data, with bytes in buffers of their own and as views of larger ones. */
const bytes = fc
  .tuple(fc.uint8Array({ maxLength: 40 }), fc.nat(20), fc.nat(20), fc.constantFrom(1, 1, 1, 500))
  .map(([some, before, after, times]) => {
    const whole = new Uint8Array(before + some.length * times + after).fill(9);
    for (let at = 0; at < times; at++) whole.set(some, before + at * some.length);
    return whole.subarray(before, before + some.length * times);
  });
const data = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.string(),
    fc.double(),
    fc.bigInt(),
    fc.boolean(),
    fc.constant(undefined),
    bytes,
    fc.array(tie("value"), { maxLength: 4 }),
    fc.dictionary(
      fc.string({ maxLength: 6 }).filter((key) => key !== "__proto__"),
      tie("value"),
      { maxKeys: 4, noNullPrototype: true },
    ),
    fc.array(fc.tuple(fc.string(), tie("value")), { maxLength: 3 }).map((pairs) => new Map(pairs)),
  ),
})).value;

/** Verbs that are only passed on, whatever they are given. */
function plainVerbs(verbs: Readonly<Record<string, string>>): string[] {
  const special = ["catalogVersion", "append", "search"];
  return Object.keys(verbs).filter((verb) => verbs[verb] === "asked" && !special.includes(verb));
}

function shapeOf(limit: number): AnswerShape {
  return { limit, fields: [100], encoding: "message" } as unknown as AnswerShape;
}

/** Deliveries that a test makes itself. */
function deliveriesByHand() {
  const open = new Map<number, (answer: Outcome<SearchAnswer>) => void>();
  const forgotten: number[] = [];
  const deliveries: Deliveries = {
    open() {
      const id = open.size + 1;
      return { id, answer: new Promise((resolve) => open.set(id, resolve)) };
    },
    forget: (id) => forgotten.push(id),
  };
  return { open, forgotten, deliveries };
}

describe("calls over a port", () => {
  it("give back what went in, and leave the caller his bytes", async () => {
    const { near, far } = channel();
    answerCalls(far, (address, verb, args) => ({ address, verb, args }));
    const calls = new PortCalls<unknown>(near);
    await fc.assert(
      fc.asyncProperty(data, fc.string(), fc.array(data, { maxLength: 4 }), async (address, verb, args) => {
        const before = structuredClone({ address, verb, args });
        expect(await calls.ask(address, verb, args)).toStrictEqual(before);
        expect({ address, verb, args }).toStrictEqual(before);
      }),
      { numRuns: 150 },
    );
  });

  it("are answered each for itself, whatever order they end in", async () => {
    const { near, far } = channel();
    const gates = new Map<number, () => void>();
    answerCalls(far, async (_, __, [at]) => {
      await new Promise<void>((resolve) => gates.set(at as number, resolve));
      return at;
    });
    const calls = new PortCalls<undefined>(near);
    const asked = [0, 1, 2, 3].map((at) => calls.ask(undefined, "wait", [at]));
    const ended: unknown[] = [];
    for (const call of asked) void call.then((at) => ended.push(at));
    while (gates.size < 4) await new Promise((resolve) => setImmediate(resolve));
    for (const at of [2, 0, 3, 1]) {
      gates.get(at)?.();
      await asked[at];
    }
    expect(ended).toEqual([2, 0, 3, 1]);
  });

  it("reject with what was thrown at the far end", async () => {
    const { near, far } = channel();
    answerCalls(far, () => {
      throw new TypeError("a bug");
    });
    await expect(new PortCalls<undefined>(near).ask(undefined, "x", [])).rejects.toThrow("a bug");
  });
});

describe("peers over a port", () => {
  const args = [
    { id: 5n, bytes: new Uint8Array([1, 2, 3]).subarray(1), none: undefined },
    "text",
    [new Map([["a", 1n]])],
  ];
  it.each(plainVerbs(coordinatorVerbs))("pass %s of the coordinator through", async (verb) => {
    const { peers } = peersOver((called, given) => Promise.resolve(succeed({ called, given })));
    const outcome = await (peers.coordinator as unknown as Verbs)[verb]?.(...args);
    expect(outcome).toStrictEqual(succeed({ called: verb, given: args }));
  });

  it.each(plainVerbs(streamingNodeVerbs))("pass %s of a streaming node through", async (verb) => {
    const { peers, asked } = peersOver((called, given) => Promise.resolve(succeed({ called, given })));
    const outcome = await (peers.streamingNode(node) as unknown as Verbs)[verb]?.(...args);
    expect(outcome).toStrictEqual(succeed({ called: verb, given: args }));
    expect(asked).toEqual([node]);
  });

  it("pass failures through as values", async () => {
    const error = { kind: "fenced", channel: "p0", term: 3 } as const;
    const { peers } = peersOver(() => Promise.resolve(fail(error)));
    expect(await peers.coordinator.dropDatabase("d")).toEqual(fail(error));
    expect(await peers.streamingNode(node).flush([])).toEqual(fail(error));
  });

  it("tell a release and wait for nothing", async () => {
    const told: unknown[] = [];
    const { peers } = peersOver((verb, given) => {
      told.push([verb, given]);
      return verb === "release" ? undefined : Promise.resolve(succeed(0));
    });
    expect(peers.streamingNode(node).release("pin" as PinId)).toBeUndefined();
    // Messages keep their order.
    await peers.streamingNode(node).loadedPercent([]);
    expect(told[0]).toEqual(["release", ["pin"]]);
  });

  it("know the catalog's version without asking", async () => {
    const { peers, version } = peersOver(() => Promise.reject(new Error("nobody is asked")));
    for (const value of [0, 41, Number.MAX_SAFE_INTEGER]) {
      version.value = value;
      expect(await peers.coordinator.catalogVersion()).toEqual(succeed(value));
    }
  });

  it("free the rows of a write that succeeded, and of no other", async () => {
    let isFull = false;
    const { peers, released } = peersOver((verb) =>
      Promise.resolve(isFull ? fail({ kind: "ioFailed", message: "full" }) : succeed({ at: 9n, verb })),
    );
    const rows = new Uint8Array(20_000).fill(3);
    const entries = [
      { kind: "insert", shard: "s", partition: 1n, rows },
      { kind: "delete", shard: "s", partition: undefined, keys: new Uint8Array(8) },
    ] as unknown as Parameters<StreamingNodeContract["append"]>[0];
    expect(await peers.streamingNode(node).append(entries, 1)).toEqual(succeed({ at: 9n, verb: "append" }));
    expect(released.map((buffer) => new Uint8Array(buffer))).toEqual([rows]);
    expect(rows.length).toBe(20_000);
    isFull = true;
    expect((await peers.streamingNode(node).append(entries, 1)).ok).toBe(false);
    expect(released.length).toBe(1);
  });
});

describe("shapes of answers", () => {
  it("arrive as one object each, however often and in whatever order they are asked for", async () => {
    const seen: AnswerShape[] = [];
    const { peers } = peersOver((_, [__, plan]) => {
      seen.push((plan as { answer: AnswerShape }).answer);
      return Promise.resolve(succeed({}));
    });
    // More than are remembered, so that both ends forget together, some calls of the old round still under way.
    const shapes = Array.from({ length: 1_500 }, (_, at) => shapeOf(at));
    const order = [...shapes, ...shapes.slice(1_400), ...shapes.slice(1_400), ...shapes.slice(0, 5)];
    const plan = { topK: 3, placeholders: new Uint8Array(4) };
    await Promise.all(
      order.map((answer) => peers.streamingNode(node).search({} as never, { ...plan, answer } as never)),
    );
    expect(seen).toEqual(order);
    for (let at = 1_400; at < 1_500; at++) {
      expect(seen[100 + at]).toBe(seen[at]);
      expect(seen[200 + at]).toBe(seen[at]);
    }
  });

  it("are left out where hits are asked for", async () => {
    const { peers } = peersOver((_, given) => Promise.resolve(succeed(given)));
    const plan = { topK: 3, placeholders: new Uint8Array(4), answer: undefined };
    const found: unknown = await peers.streamingNode(node).search({} as never, plan as never);
    expect(found).toStrictEqual(succeed([{}, plan]));
  });
});

describe("answers past the port", () => {
  const plan = { topK: 3, placeholders: new Uint8Array(4), answer: shapeOf(1) } as never;
  const scope = {} as never;

  const answer = { hits: new Uint8Array(), answer: new Uint8Array([1, 2]), snapshot: 0n } as SearchAnswer;

  it("are taken as they come, whatever order the calls had", async () => {
    const { open, forgotten, deliveries } = deliveriesByHand();
    const asked: unknown[] = [];
    const { peers } = peersOver((_, [__, given]) => {
      asked.push((given as SearchPlan).deliverTo);
      return Promise.resolve(succeed({ delivered: true }));
    }, deliveries);
    const found = [1, 2, 3].map(() => peers.streamingNode(node).search(scope, plan));
    while (asked.length < 3) await new Promise((resolve) => setImmediate(resolve));
    expect(asked).toEqual([1, 2, 3]);
    for (const id of [3, 1, 2]) {
      open.get(id)?.(succeed({ ...answer, answer: new Uint8Array([id]) }));
      expect(await found[id - 1]).toMatchObject({ ok: true, value: { answer: new Uint8Array([id]) } });
    }
    expect(forgotten).toEqual([]);
  });

  it("are given up where the port brings hits or a failure", async () => {
    for (const outcome of [
      succeed({ hits: new Uint8Array([7]), snapshot: 5n }),
      fail({ kind: "notReady", message: "" }),
    ]) {
      const { open, forgotten, deliveries } = deliveriesByHand();
      const { peers } = peersOver(() => Promise.resolve(outcome), deliveries);
      expect(await peers.streamingNode(node).search(scope, plan)).toStrictEqual(outcome);
      expect(forgotten).toEqual([1]);
      open.get(1)?.(succeed({ ...answer, delivered: true }));
    }
  });

  it("are not opened for searches that want hits", async () => {
    const { open, deliveries } = deliveriesByHand();
    const { peers } = peersOver(() => Promise.resolve(succeed(1)), deliveries);
    await peers.streamingNode(node).search(scope, { topK: 3 } as never);
    expect(open.size).toBe(0);
  });
});
