/** How often each call was made, how it ended and how long it took. */
import type { Clock, Counter, Histogram, Telemetry } from "@elanus/platform/ports/world";

export class CallFigures {
  readonly #telemetry: Telemetry;
  readonly #clock: Clock;
  readonly #counters = new Map<string, Counter>();
  readonly #histograms = new Map<string, Histogram>();

  constructor(telemetry: Telemetry, clock: Clock) {
    this.#telemetry = telemetry;
    this.#clock = clock;
  }

  start(): number {
    return this.#clock.monotonicMs();
  }

  /** `call` is one of the server's own names, never the caller's text: figures are kept for every name. */
  end(call: string, code: number, startedMs: number): void {
    this.#counterOf(call, code).add(1);
    this.#histogramOf(call).observe((this.#clock.monotonicMs() - startedMs) / 1_000);
  }

  #counterOf(call: string, code: number): Counter {
    const key = `${call} ${code}`;
    const known = this.#counters.get(key);
    if (known !== undefined) return known;
    const made = this.#telemetry.counter(
      "elanus_calls_total",
      "Calls of clients by the code they ended with; 0 is success.",
      {
        call,
        code: String(code),
      },
    );
    this.#counters.set(key, made);
    return made;
  }

  #histogramOf(call: string): Histogram {
    const known = this.#histograms.get(call);
    if (known !== undefined) return known;
    const made = this.#telemetry.histogram("elanus_call_seconds", "Time from a whole request to its answer.", { call });
    this.#histograms.set(call, made);
    return made;
  }
}
