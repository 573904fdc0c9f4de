/** Log lines through pino, figures through a prom-client registry of our own. */
import { pino } from "pino";
import { AggregatorRegistry, Counter, Gauge, Histogram, Registry } from "prom-client";
import type { Telemetry } from "../../ports/world.ts";

/** Plain data. */
export type Figures = readonly object[];

export interface SystemTelemetry extends Telemetry {
  /** All figures in Prometheus's text format; those of other threads are added to their namesakes here. */
  metricsText(others?: readonly Figures[]): Promise<string>;
  /** All figures as they go to another thread. */
  figures(): Promise<Figures>;
  /** MIME type of that text. */
  readonly metricsType: string;
}

export type LogLevel = "debug" | "info" | "warn" | "error" | "silent";

export interface SystemTelemetryConfig {
  readonly level: LogLevel;
  /** Where lines go; standard error when absent, so that standard output stays the caller's. */
  readonly destination?: { write(line: string): void };
}

type Labels = Readonly<Record<string, string>>;
type Metric = Counter | Gauge | Histogram;

export function systemTelemetry(config: SystemTelemetryConfig): SystemTelemetry {
  const options = { level: config.level, base: null };
  const lines = pino(options, config.destination ?? pino.destination({ dest: 2, sync: false }));
  const registry = new Registry();
  const metrics = new Map<string, Metric>();

  function metric<M extends Metric>(name: string, make: () => M): M {
    const known = metrics.get(name);
    if (known !== undefined) return known as M;
    const made = make();
    metrics.set(name, made);
    return made;
  }

  return {
    counter(name, help, labels = {}) {
      const figure = metric(name, () => new Counter(settings(name, help, labels, registry)));
      const child = figure.labels(labels);
      return { add: (value) => child.inc(value) };
    },
    gauge(name, help, labels = {}) {
      const figure = metric(name, () => new Gauge(settings(name, help, labels, registry)));
      const child = figure.labels(labels);
      return { set: (value) => child.set(value) };
    },
    histogram(name, help, labels = {}) {
      const make = (): Histogram =>
        new Histogram({ ...settings(name, help, labels, registry), buckets: bucketsOf(name) });
      const child = metric(name, make).labels(labels);
      return { observe: (value) => child.observe(value) };
    },
    log(level, message, fields) {
      lines[level](fields ?? {}, message);
    },
    async metricsText(others = []) {
      if (others.length === 0) return registry.metrics();
      return AggregatorRegistry.aggregate([await registry.getMetricsAsJSON(), ...others]).metrics();
    },
    figures: () => registry.getMetricsAsJSON(),
    metricsType: registry.contentType,
  };
}

function settings(
  name: string,
  help: string,
  labels: Labels,
  registry: Registry,
): { name: string; help: string; labelNames: string[]; registers: Registry[] } {
  return { name, help, labelNames: Object.keys(labels), registers: [registry] };
}

/** Powers of two from the smallest value worth telling apart; the unit ends the name. */
function bucketsOf(name: string): number[] {
  const smallest = name.endsWith("_seconds") ? 0.000_1 : name.endsWith("_ms") ? 0.1 : 1;
  return Array.from({ length: 20 }, (_, power) => smallest * 2 ** power);
}
