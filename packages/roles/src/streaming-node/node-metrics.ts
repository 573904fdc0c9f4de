/** What operators see of a streaming node. */
import type { Outcome } from "@elanus/model/outcome";
import type { Gauge, Histogram, World } from "@elanus/platform/ports/world";

export type TimedCall = "append" | "search" | "query" | "count" | "flush";

export class NodeMetrics {
  readonly growingBytes: Gauge;
  readonly queuedBytes: Gauge;
  readonly shards: Gauge;
  readonly #world: Pick<World, "clock" | "telemetry">;
  readonly #durations = new Map<string, Histogram>();

  constructor(world: Pick<World, "clock" | "telemetry">) {
    this.#world = world;
    const { telemetry } = world;
    this.growingBytes = telemetry.gauge("elanus_growing_bytes", "Bytes of rows that are not sealed yet.");
    this.queuedBytes = telemetry.gauge("elanus_append_queued_bytes", "Bytes of appends that are not applied yet.");
    this.shards = telemetry.gauge("elanus_streaming_node_shards", "Shards that this node owns.");
  }

  /** Observes how long a call took, by verb and outcome; one that is answered elsewhere is observed there. */
  async timed<T>(call: TimedCall, work: Promise<Outcome<T>>): Promise<Outcome<T>> {
    const startedMs = this.#world.clock.monotonicMs();
    const outcome = await work;
    if (outcome.ok && isAnsweredElsewhere(outcome.value)) return outcome;
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

function isAnsweredElsewhere(value: unknown): boolean {
  return typeof value === "object" && value !== null && "delivered" in value && value.delivered === true;
}
