/**
 * Virtual time. Everything that takes time in the simulated world is an event here; between two events all promises
 * run until none is left, so that a seed has exactly one history. The trace hash covers order and time of events.
 */
import { hashText } from "./random.ts";

interface SimEvent {
  readonly atMs: number;
  readonly sequence: number;
  readonly label: string;
  readonly task: () => void;
  cancelled: boolean;
}

export class Scheduler {
  #nowMs = 0;
  #sequence = 0;
  #traceHash = 0x81_1c_9d_c5;
  #eventCount = 0;
  readonly #heap: SimEvent[] = [];
  /** Set to follow a run event by event. */
  onEvent: ((atMs: number, label: string) => void) | undefined;

  /** Virtual milliseconds since the start of the run. */
  get nowMs(): number {
    return this.#nowMs;
  }

  get traceHash(): number {
    return this.#traceHash;
  }

  get eventCount(): number {
    return this.#eventCount;
  }

  /** Mixes something that happened into the trace. */
  trace(text: string): void {
    this.#traceHash = hashText(text, this.#traceHash);
  }

  /** Runs `task` after `delayMs`; events of the same moment keep their order. The result cancels it. */
  after(delayMs: number, label: string, task: () => void): () => void {
    this.#sequence += 1;
    const event: SimEvent = {
      atMs: this.#nowMs + Math.max(delayMs, 0),
      sequence: this.#sequence,
      label,
      task,
      cancelled: false,
    };
    push(this.#heap, event);
    return () => {
      event.cancelled = true;
    };
  }

  sleep(delayMs: number, label: string): Promise<void> {
    return new Promise((resolve) => {
      this.after(delayMs, label, resolve);
    });
  }

  /** Runs events until `isDone`, the time limit, or until nothing is left to happen. */
  async run(isDone: () => boolean, untilMs: number): Promise<"done" | "late" | "stuck"> {
    await settled();
    while (!isDone()) {
      const event = pop(this.#heap);
      if (event === undefined) return "stuck";
      if (event.cancelled) continue;
      if (event.atMs > untilMs) {
        push(this.#heap, event);
        return "late";
      }
      this.#nowMs = event.atMs;
      this.#eventCount += 1;
      this.trace(`${event.atMs.toFixed(3)} ${event.label}`);
      this.onEvent?.(event.atMs, event.label);
      event.task();
      await settled();
    }
    return "done";
  }
}

/** Resolves once every promise that can go on has gone on: immediates run only after all microtasks. */
function settled(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

function isBefore(a: SimEvent, b: SimEvent): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.sequence < b.sequence);
}

function push(heap: SimEvent[], event: SimEvent): void {
  let at = heap.length;
  heap.push(event);
  while (at > 0) {
    const parent = (at - 1) >> 1;
    const above = heap[parent];
    if (above === undefined || !isBefore(event, above)) break;
    heap[at] = above;
    at = parent;
  }
  heap[at] = event;
}

function pop(heap: SimEvent[]): SimEvent | undefined {
  const [first] = heap;
  const last = heap.pop();
  if (first === undefined || last === undefined || heap.length === 0) return first;
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    const left = heap[child];
    if (left === undefined) break;
    const right = heap[child + 1];
    let smallest = left;
    if (right !== undefined && isBefore(right, left)) {
      smallest = right;
      child += 1;
    }
    if (!isBefore(smallest, last)) break;
    heap[at] = smallest;
    at = child;
  }
  heap[at] = last;
  return first;
}
