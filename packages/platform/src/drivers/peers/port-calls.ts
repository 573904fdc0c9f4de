/**
 * Calls over a message port, for whatever lives on another thread. The calls of one turn of the event loop leave as
 * one message, and so do their answers: waking a thread costs more than most calls.
 */
import type { MessagePort, Worker } from "node:worker_threads";
import { packed } from "./packed.ts";

/** Either end of a channel between two threads. */
export type Port = MessagePort | Worker;

/** `id` 0: nobody waits for an answer. `address` names who is called, in the words of both ends. */
type Call<Address> = readonly [id: number, address: Address, verb: string, args: readonly unknown[]];
type Answer = readonly [id: number, succeeded: true, value: unknown] | readonly [id: number, succeeded: false, Fault];

/** What was thrown: our own bug, told on the calling thread as on the called one. */
interface Fault {
  readonly message: string;
  readonly stack: string | undefined;
}

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (cause: unknown) => void;
}

/** The calling end. */
export class PortCalls<Address> {
  readonly #waiting = new Map<number, Waiting>();
  readonly #outgoing: Outgoing<Call<Address>>;
  #id = 0;

  constructor(port: Port) {
    this.#outgoing = new Outgoing(port);
    port.on("message", (answers: readonly Answer[]) => {
      for (const answer of answers) this.#settle(answer);
    });
  }

  /**
   * Rejects when the call threw; the far end's death is not noticed here. An answer that comes `elsewhere` counts when
   * it is the first.
   */
  ask(address: Address, verb: string, args: readonly unknown[], elsewhere?: Promise<unknown>): Promise<unknown> {
    this.#id += 1;
    const id = this.#id;
    this.#outgoing.add([id, address, verb, args]);
    const answered = new Promise<unknown>((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
    if (elsewhere === undefined) return answered;
    return Promise.race([answered, elsewhere]).finally(() => this.#waiting.delete(id));
  }

  /** A call that answers nothing. */
  tell(address: Address, verb: string, args: readonly unknown[]): void {
    this.#outgoing.add([0, address, verb, args]);
  }

  #settle(answer: Answer): void {
    const waiting = this.#waiting.get(answer[0]);
    this.#waiting.delete(answer[0]);
    if (answer[1]) return waiting?.resolve(answer[2]);
    const error = new Error(answer[2].message);
    if (answer[2].stack !== undefined) error.stack = answer[2].stack;
    waiting?.reject(error);
  }
}

/** What a call gives when its answer reaches the caller another way. */
export const unanswered: unique symbol = Symbol("unanswered");

/** The called end: `call` runs each call as it comes, in their order, and what it gives is the answer. */
export function answerCalls<Address>(
  port: Port,
  call: (address: Address, verb: string, args: readonly unknown[]) => unknown,
): void {
  const outgoing = new Outgoing<Answer>(port);
  const answer = async ([id, address, verb, args]: Call<Address>): Promise<void> => {
    try {
      const value = await call(address, verb, args);
      if (id !== 0 && value !== unanswered) outgoing.add([id, true, value]);
    } catch (cause) {
      if (id === 0) throw cause;
      const fault = cause instanceof Error ? cause : new Error(String(cause));
      outgoing.add([id, false, { message: fault.message, stack: fault.stack }]);
    }
  };
  port.on("message", (calls: readonly Call<Address>[]) => {
    for (const each of calls) void answer(each);
  });
}

/** Sends what was added within one turn of the event loop. */
class Outgoing<Message> {
  readonly #port: Port;
  #messages: unknown[] = [];
  #transfer: ArrayBuffer[] = [];

  constructor(port: Port) {
    this.#port = port;
  }

  /** What it holds must not change before the turn ends; bytes are copied now. */
  add(message: Message): void {
    this.#messages.push(packed(message, this.#transfer));
    if (this.#messages.length === 1) setImmediate(() => this.#send());
  }

  #send(): void {
    const [messages, transfer] = [this.#messages, this.#transfer];
    this.#messages = [];
    this.#transfer = [];
    this.#port.postMessage(messages, transfer);
  }
}
