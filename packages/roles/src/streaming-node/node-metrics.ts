/** What operators see of a streaming node. */
import type { Outcome } from "@elanus/model/outcome";
import type { Gauge, Histogram, World } from "@elanus/platform/ports/world";

export type TimedCall = "append" | "search" | "query" | "count" | "flush";

export class NodeMetrics {
  readonly growingBytes: Gauge;
  readonly queuedBytes: Gauge;
  readonly shards: Gauge;
  readonly #world: World;
  readonly #durations = new Map<string, Histogram>();

  constructor(world: World) {
    this.#world = world;
    const { telemetry } = world;
    this.growingBytes = telemetry.gauge("elanus_growing_bytes", "Bytes of rows that are not sealed yet.");
    this.queuedBytes = telemetry.gauge("elanus_append_queued_bytes", "Bytes of appends that are not applied yet.");
    this.shards = telemetry.gauge("elanus_streaming_node_shards", "Shards that this node owns.");
  }

  /** Observes how long a call took, by verb and outcome. */
  async timed<T>(call: TimedCall, work: Promise<Outcome<T>>): Promise<Outcome<T>> {
    const startedMs = this.#world.clock.monotonicMs();
    const outcome = await work;
    const result = outcome.ok ? "ok" : outcome.error.kind;
    this.#duration(call, result).observe((this.#world.clock.monotonicMs() - startedMs) / 1_000);
    return outcome;
  }

  #duration(call: TimedCall, result: string): Histogram {
    const key = `${call} ${result}`;
    const known = this.#durations.get(key);
    if (known !== undefined) return known;
    const help = "Duration of a call to the streaming node.";
    const made = this.#world.telemetry.histogram("elanus_streaming_node_seconds", help, { call, result });
    this.#durations.set(key, made);
    return made;
  }
}
