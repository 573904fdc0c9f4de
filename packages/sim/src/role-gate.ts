/**
 * One role of a process that can stand still while the others go on. Whatever would let it go on (a timer, the answer
 * of a store or of another role, a call of its contract) goes through `deliver` and waits until it thaws.
 */
import { succeed } from "@elanus/model/outcome";
import type { Peers } from "@elanus/model/peers";
import type { LogStore } from "@elanus/platform/ports/log";
import type { Timers, World } from "@elanus/platform/ports/world";
import type { SimProcess } from "./process.ts";

export class RoleGate {
  readonly #process: SimProcess;
  #isFrozen = false;
  #waiting: (() => void)[] = [];

  constructor(process: SimProcess) {
    this.#process = process;
  }

  freeze(): void {
    this.#isFrozen = true;
  }

  thaw(): void {
    this.#isFrozen = false;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const task of waiting) this.deliver(task);
  }

  deliver(task: () => void): void {
    this.#process.deliver(() => {
      if (this.#isFrozen) this.#waiting.push(task);
      else task();
    });
  }

  /** The world as the role sees it. */
  world(world: World): World {
    return {
      ...world,
      timers: this.#timers(world.timers),
      log: this.#log(world.log),
      meta: this.#answering(world.meta),
      objects: this.#answering(world.objects),
      peers: this.#peers(world.peers),
    };
  }

  /** The role's contract as others reach it. */
  contract<T extends object>(contract: T): T {
    return wrapped(contract, (call) => (this.#isFrozen ? this.#thawed().then(call) : call()));
  }

  #thawed(): Promise<void> {
    return new Promise((resolve) => {
      this.deliver(resolve);
    });
  }

  #timers(timers: Timers): Timers {
    return {
      sleep: async (ms, signal) => {
        await timers.sleep(ms, signal);
        await this.#thawed();
      },
      after: (ms, task) => {
        let isCancelled = false;
        const cancel = timers.after(ms, () => {
          this.deliver(() => {
            if (!isCancelled) task();
          });
        });
        return () => {
          isCancelled = true;
          cancel();
        };
      },
    };
  }

  #log(log: LogStore): LogStore {
    return {
      open: async (...call) => {
        const opened = await log.open(...call);
        await this.#thawed();
        return opened.ok ? succeed(this.#answering(opened.value)) : opened;
      },
      read: (...call) => this.#frames(log.read(...call)),
    };
  }

  async *#frames<T>(frames: AsyncIterable<T>): AsyncGenerator<T> {
    for await (const frame of frames) {
      await this.#thawed();
      yield frame;
    }
  }

  #peers(peers: Peers): Peers {
    const coordinator = (): Peers["coordinator"] => this.#answering(peers.coordinator);
    return {
      get coordinator() {
        return coordinator();
      },
      streamingNode: (id) => this.#answering(peers.streamingNode(id)),
      queryNode: (id) => this.#answering(peers.queryNode(id)),
      dataNode: () => this.#answering(peers.dataNode()),
    };
  }

  /** `target` whose promised answers arrive only while the role goes on. */
  #answering<T extends object>(target: T): T {
    return wrapped(target, (call) => this.#held(call()));
  }

  #held(answer: unknown): unknown {
    if (!(answer instanceof Promise)) return answer;
    return answer.then(async (value: unknown) => {
      await this.#thawed();
      return value;
    });
  }
}

/** `target` with every call of a method handed to `around`. */
function wrapped<T extends object>(target: T, around: (call: () => unknown) => unknown): T {
  return new Proxy(target, {
    get(source, name) {
      const value: unknown = Reflect.get(source, name, source);
      if (typeof value !== "function") return value;
      return (...args: unknown[]) => around(() => Reflect.apply(value, source, args));
    },
  });
}
