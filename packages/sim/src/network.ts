/**
 * Calls between simulated processes. A request and its answer each take a seeded while; either may be lost, then the
 * caller learns nothing but that it waited too long. A dead process refuses, one that dies takes its calls with it.
 */
import type { DbError } from "@elanus/model/error";
import { type Outcome, fail } from "@elanus/model/outcome";
import type { SimProcess } from "./process.ts";
import type { SeededRandom } from "./random.ts";
import type { Scheduler } from "./scheduler.ts";

/** After this a caller gives an unanswered call up. */
const ANSWER_MS_MAX = 4_000;

export interface NetworkFaults {
  /** Probability that a message is lost. */
  drop: number;
  /** Probability that a message is late, and by how much at most. */
  delay: number;
  delayMsMax: number;
}

export interface Target<T> {
  readonly process: SimProcess;
  readonly act: () => Promise<Outcome<T>>;
}

export class Network {
  readonly faults: NetworkFaults = { drop: 0, delay: 0, delayMsMax: 0 };
  readonly #scheduler: Scheduler;
  readonly #random: SeededRandom;
  /** Directed links `from>to` that carry nothing. */
  readonly #cut = new Set<string>();

  constructor(scheduler: Scheduler, random: SeededRandom) {
    this.#scheduler = scheduler;
    this.#random = random;
  }

  cut(from: string, to: string): void {
    this.#cut.add(`${from}>${to}`);
  }

  heal(): void {
    this.#cut.clear();
    this.faults.drop = 0;
    this.faults.delay = 0;
  }

  /** `find` gives the target as it is when the request arrives: a restarted process has a new one. */
  call<T>(from: SimProcess, to: string, verb: string, find: () => Target<T> | undefined): Promise<Outcome<T>> {
    return new Promise((resolve) => {
      if (from.isDead) return;
      const settle = once((outcome: Outcome<T>) => {
        giveUp();
        from.deliver(() => resolve(outcome));
      });
      // It stays until an answer or a refusal has arrived, for these may be lost, too.
      const giveUp = this.#scheduler.after(ANSWER_MS_MAX, `${from.name} gives up ${to}.${verb}`, () =>
        settle(fail({ kind: "deadlineExceeded", message: `${to} did not answer ${verb}` })),
      );
      const refuse = (error: DbError): void => this.#send(to, from.name, `${verb} refused`, () => settle(fail(error)));
      this.#send(from.name, to, verb, () => {
        const target = find();
        if (target === undefined || target.process.isDead) {
          return refuse({ kind: "notReady", message: `${to} is not there` });
        }
        const { process } = target;
        const unwatch = process.onDeath(() =>
          refuse({ kind: "deadlineExceeded", message: `${to} went away during ${verb}` }),
        );
        process.deliver(() => {
          void this.#serve(target, (outcome) => {
            unwatch();
            this.#send(to, from.name, `${verb} answered`, () => settle(outcome));
          });
        });
      });
    });
  }

  /** What a dead process still computes never leaves it. */
  async #serve<T>(target: Target<T>, answer: (outcome: Outcome<T>) => void): Promise<void> {
    const outcome = await target.act();
    if (!target.process.isDead) target.process.deliver(() => answer(outcome));
  }

  #send(from: string, to: string, label: string, arrive: () => void): void {
    if (this.#cut.has(`${from}>${to}`) || this.#random.chance(this.faults.drop)) {
      this.#scheduler.trace(`lost ${from} ${to} ${label}`);
      return;
    }
    const late = this.#random.chance(this.faults.delay) ? this.#random.next() * this.faults.delayMsMax : 0;
    this.#scheduler.after(0.05 + this.#random.next() * 0.4 + late, `${from} > ${to} ${label}`, arrive);
  }
}

function once<A>(act: (argument: A) => void): (argument: A) => void {
  let isDone = false;
  return (argument) => {
    if (isDone) return;
    isDone = true;
    act(argument);
  };
}
