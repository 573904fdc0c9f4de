/**
 * Configuration: command line over environment over defaults, checked once, then frozen and passed down.
 * Nothing else in the project reads the environment.
 */
import { availableParallelism, totalmem } from "node:os";
import { fail, type Outcome, succeed } from "@elanus/model/outcome";
import { defaultLimits, type Limits, MiB } from "@elanus/model/limits";
import { z } from "zod";

export interface Config {
  /** Data folder; created when absent. */
  readonly data: string;
  /** gRPC and REST. 0 picks a free port. */
  readonly port: number;
  /** Health, metrics, status. 0 picks a free port. */
  readonly metricsPort: number;
  /** Address both ports listen on. */
  readonly host: string;
  /** Allows an address other than loopback without authentication. */
  readonly insecure: boolean;
  /** Who frames HTTP/2 and gRPC: the native engine, or Node. */
  readonly transport: "native" | "node";
  /** Threads of JavaScript that serve the front door: 1 to 64. One shares the thread of everything else. */
  readonly proxies: number;
  /** PEM files, both or none: with them the front door speaks TLS only. */
  readonly tlsCert: string | undefined;
  readonly tlsKey: string | undefined;
  /** Native threads for searches and builds. */
  readonly threads: number;
  readonly logLevel: "debug" | "info" | "warn" | "error" | "silent";
  /** What GetVersion answers; clients derive features from it (contract: the 2.6 line). */
  readonly reportedVersion: string;
  readonly limits: Limits;
}

/** Every value is text, as on a command line or in the environment; absent means default. */
export type ConfigInput = Readonly<Partial<Record<ConfigKey, string | undefined>>>;
export type ConfigKey = keyof typeof environmentNames;

export const environmentNames = {
  data: "ELANUS_DATA",
  port: "ELANUS_PORT",
  metricsPort: "ELANUS_METRICS_PORT",
  host: "ELANUS_HOST",
  insecure: "ELANUS_INSECURE",
  transport: "ELANUS_TRANSPORT",
  proxies: "ELANUS_PROXIES",
  tlsCert: "ELANUS_TLS_CERT",
  tlsKey: "ELANUS_TLS_KEY",
  threads: "ELANUS_THREADS",
  logLevel: "ELANUS_LOG_LEVEL",
  reportedVersion: "ELANUS_REPORTED_VERSION",
  growingMiB: "ELANUS_GROWING_MIB",
  segmentMiB: "ELANUS_SEGMENT_MIB",
  segmentAgeSeconds: "ELANUS_SEGMENT_AGE_SECONDS",
  retentionSeconds: "ELANUS_RETENTION_SECONDS",
} as const;

const portNumber = z.coerce.number().int().min(0).max(65_535);
const seconds = z.coerce.number().int().min(0).max(31_536_000);
const flag = z.enum(["true", "false", "1", "0", ""]).transform((text) => text === "true" || text === "1");

const schema = z.object({
  data: z.string().min(1).default("./elanus-data"),
  port: portNumber.default(19_530),
  metricsPort: portNumber.default(9_091),
  host: z.string().min(1).default("127.0.0.1"),
  insecure: flag.default(false),
  transport: z.enum(["native", "node"]).default("native"),
  proxies: z.coerce.number().int().min(1).max(64).default(1),
  tlsCert: z.string().min(1).optional(),
  tlsKey: z.string().min(1).optional(),
  threads: z.coerce.number().int().min(1).max(1_024).optional(),
  logLevel: z.enum(["debug", "info", "warn", "error", "silent"]).default("info"),
  reportedVersion: z
    .string()
    .regex(/\d+\.\d+\.\d+/, "must contain MAJOR.MINOR.PATCH")
    .default("v2.6.22-elanus"),
  growingMiB: z.coerce.number().int().min(16).optional(),
  segmentMiB: z.coerce.number().int().min(1).max(16_384).optional(),
  segmentAgeSeconds: seconds.optional(),
  retentionSeconds: seconds.optional(),
});

/** Reads `input` over `environment`; the failure names the option and what it must be. */
export function readConfig(input: ConfigInput, environment: NodeJS.ProcessEnv): Outcome<Config> {
  const merged = Object.fromEntries(
    Object.entries(environmentNames).flatMap(([key, name]) => {
      const value = input[key as ConfigKey] ?? environment[name];
      return value === undefined ? [] : [[key, value]];
    }),
  );
  const parsed = schema.safeParse(merged);
  if (!parsed.success) return fail({ kind: "invalidParameter", message: describeIssues(parsed.error) });
  const values = parsed.data;
  const refusal = refuseOpenAddress(values.host, values.insecure);
  if (refusal !== undefined) return fail({ kind: "invalidParameter", message: refusal });
  if ((values.tlsCert === undefined) !== (values.tlsKey === undefined)) {
    return fail({ kind: "invalidParameter", message: "TLS needs both files: --tls-cert and --tls-key" });
  }
  if (values.proxies > 1 && values.transport === "node") {
    const message = "--proxies above 1 needs --transport native: Node's own listener serves one thread";
    return fail({ kind: "invalidParameter", message });
  }
  return succeed(
    Object.freeze({
      data: values.data,
      port: values.port,
      metricsPort: values.metricsPort,
      host: values.host,
      insecure: values.insecure,
      transport: values.transport,
      proxies: values.proxies,
      tlsCert: values.tlsCert,
      tlsKey: values.tlsKey,
      threads: values.threads ?? availableParallelism(),
      logLevel: values.logLevel,
      reportedVersion: values.reportedVersion,
      limits: limitsFrom(values),
    }),
  );
}

function limitsFrom(values: z.infer<typeof schema>): Limits {
  // An eighth of the machine for unsealed rows leaves room for sealing, builds and the page cache.
  const growingBytesMax =
    values.growingMiB === undefined ? Math.max(256 * MiB, totalmem() / 8) : values.growingMiB * MiB;
  return Object.freeze({
    ...defaultLimits,
    growingBytesMax,
    ...(values.segmentMiB === undefined ? {} : { segmentBytesMax: values.segmentMiB * MiB }),
    ...(values.segmentAgeSeconds === undefined ? {} : { segmentAgeMsMax: values.segmentAgeSeconds * 1_000 }),
    ...(values.retentionSeconds === undefined ? {} : { retentionMs: values.retentionSeconds * 1_000 }),
  });
}

function describeIssues(error: z.ZodError): string {
  return error.issues
    .map((issue) => {
      const key = String(issue.path[0]);
      return `${key} (${environmentNames[key as ConfigKey] ?? key}): ${issue.message}`;
    })
    .join("; ");
}

/** Safe by default: without authentication the ports are for this machine only. */
function refuseOpenAddress(host: string, insecure: boolean): string | undefined {
  if (insecure || isLoopback(host)) return undefined;
  return (
    `refusing to listen on ${host} without authentication: anyone who reaches it could read and delete ` +
    "all data. Listen on 127.0.0.1, or pass --insecure if the network itself keeps strangers out"
  );
}

export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127\.\d+\.\d+\.\d+$/.test(host);
}
