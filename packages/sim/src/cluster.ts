/**
 * A whole database in one thread: simulated processes that run the real roles over the real file drivers, in one
 * of two compositions. Processes are started, killed, frozen and replaced here; what they promise is checked elsewhere.
 */
import type { Addon, NativePool } from "@elanus/engine/addon";
import type { DataNodeContract } from "@elanus/model/contract/data-node";
import type { ProxyContract } from "@elanus/model/contract/proxy";
import { describeError } from "@elanus/model/error";
import type { ChannelName, NodeId } from "@elanus/model/id";
import { type Limits, defaultLimits } from "@elanus/model/limits";
import { type Outcome, fail } from "@elanus/model/outcome";
import type { Peers } from "@elanus/model/peers";
import type { Telemetry, World } from "@elanus/platform/ports/world";
import { type CoordinatorConfig, standaloneCoordinator } from "@elanus/roles/coordinator/config";
import { type Composition, type ProcessSpec, type RoleName, SPECS, type Services, node } from "./composition.ts";
import { type CrashMode, DiskImage } from "./disk.ts";
import { LogAudit } from "./log-audit.ts";
import { type Mutation, override } from "./mutation.ts";
import { Network } from "./network.ts";
import { EPOCH_MS, SimProcess } from "./process.ts";
import { SeededRandom } from "./random.ts";
import type { RoleGate } from "./role-gate.ts";
import { startRoles } from "./roles.ts";
import type { Scheduler } from "./scheduler.ts";
import { type DiskFaults, type Stores, noDiskFaults, openStores, processDisk, remoteStores } from "./storage.ts";

export interface ClusterConfig {
  readonly composition: Composition;
  readonly scheduler: Scheduler;
  readonly random: SeededRandom;
  readonly addon: Addon;
  readonly mutation: Mutation;
}

export interface Incarnation {
  readonly process: SimProcess;
  readonly services: Services;
  isReady: boolean;
}

/** Small enough that a few dozen rows seal, compact, rotate and truncate. */
export const simLimits: Limits = {
  ...defaultLimits,
  growingBytesMax: 1_000_000,
  segmentBytesMax: 3_000,
  segmentAgeMsMax: 4_000,
  appendQueueLengthMax: 64,
  indexRowsMin: 6,
  retentionMs: 8_000,
  pinMsMax: 5_000,
  logSegmentBytesMax: 4_000,
};

const RESTART_MS = 150;
const SUPERVISOR_MS = 500;

export class Cluster {
  readonly config: ClusterConfig;
  readonly image: DiskImage;
  readonly diskFaults: DiskFaults = noDiskFaults();
  readonly network: Network;
  readonly audit: LogAudit = new LogAudit();
  readonly client: SimProcess;
  /** Broken invariants and other throws of role code. */
  readonly exceptions: string[] = [];
  readonly #pool: NativePool;
  readonly #addon: Addon;
  readonly #running = new Map<string, Incarnation>();
  readonly #zombies: Incarnation[] = [];
  #incarnations = 0;
  #isStopping = false;
  /** Follows the roles' log lines when set. */
  onLog: ((process: string, level: string, message: string, fields: unknown) => void) | undefined;

  constructor(config: ClusterConfig) {
    this.config = config;
    this.image = new DiskImage(config.random.fork("disk"));
    this.network = new Network(config.scheduler, config.random.fork("network"));
    this.client = new SimProcess("client", config.scheduler);
    this.#addon = config.mutation.addon?.(config.addon) ?? config.addon;
    this.#pool = new this.#addon.Pool(0);
  }

  get specs(): readonly ProcessSpec[] {
    return SPECS[this.config.composition];
  }

  get isReady(): boolean {
    return this.specs.every(({ name }) => this.#running.get(name)?.isReady === true);
  }

  find(name: string): Incarnation | undefined {
    return this.#running.get(name);
  }

  startAll(): void {
    for (const spec of this.specs) if (this.#running.get(spec.name) === undefined) this.start(spec);
  }

  /** Starts a process; one that runs under the name becomes a zombie that others no longer reach. */
  start(spec: ProcessSpec): void {
    const old = this.#running.get(spec.name);
    if (old !== undefined) this.#zombies.push(old);
    this.#incarnations += 1;
    const process = new SimProcess(spec.name, this.config.scheduler);
    const incarnation: Incarnation = { process, services: { stops: [], gates: new Map() }, isReady: false };
    this.#running.set(spec.name, incarnation);
    this.config.scheduler.trace(`start ${spec.name}`);
    const random = this.config.random.fork(`process ${this.#incarnations}`);
    process.after(1, "start", () => {
      this.#boot(spec, incarnation, random).catch((cause: unknown) => this.report(spec.name, cause));
    });
  }

  /** The process is gone at once. Its disk, when it has one, loses what the mode says. */
  crash(name: string, mode: CrashMode): void {
    const incarnation = this.#running.get(name);
    if (incarnation === undefined) return;
    this.config.scheduler.trace(`crash ${name} ${mode}`);
    incarnation.process.die();
    this.#running.delete(name);
    if (this.specs.find((spec) => spec.name === name)?.hasDisk === true) this.image.crash(mode);
  }

  /** Everything stops at once, as when the power goes. */
  crashAll(mode: CrashMode): void {
    for (const { name } of this.specs) this.crash(name, mode);
    this.buryZombies();
  }

  /** Ends all roles in order, as a signal does. Processes that start meanwhile are left alone. */
  async stopAll(): Promise<void> {
    this.#isStopping = true;
    const stopping = [...this.specs].reverse().map(({ name }) => ({ name, incarnation: this.#running.get(name) }));
    for (const { name, incarnation } of stopping) {
      if (incarnation === undefined) continue;
      for (const stop of [...incarnation.services.stops].reverse()) await stop();
      if (this.#running.get(name) === incarnation) this.crash(name, "kept");
    }
    this.#isStopping = false;
  }

  /** Ends at once what is still stopping; afterwards everything can be started. */
  endStop(): void {
    if (this.#isStopping) this.crashAll("kept");
    this.#isStopping = false;
  }

  /** Replaced processes end for good. */
  buryZombies(): void {
    for (const zombie of this.#zombies.splice(0)) zombie.process.die();
  }

  thawAll(): void {
    for (const { process, services } of this.#running.values()) {
      for (const gate of services.gates.values()) gate.thaw();
      process.thaw();
    }
    for (const { process } of this.#zombies) process.thaw();
  }

  /** Objects that the catalog's manifest pointers name. */
  async manifestKeys(): Promise<readonly string[]> {
    const stores = this.#running.get(this.config.composition === "standalone" ? "db" : "storage")?.services.stores;
    const pairs = await stores?.meta.list("");
    if (!pairs?.ok) return [];
    const text = pairs.value.map(({ value }) => new TextDecoder().decode(value)).join("\n");
    return [...new Set(text.match(/manifests\/[\w/.-]+/g))];
  }

  /** The running roles of this name. */
  gatesOf(role: RoleName): readonly RoleGate[] {
    return [...this.#running.values()].flatMap(({ services }) => services.gates.get(role) ?? []);
  }

  get processes(): readonly SimProcess[] {
    return [...this.#running.values()].map(({ process }) => process);
  }

  report(where: string, cause: unknown): void {
    const text = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
    this.exceptions.push(`${where}: ${text}`);
  }

  /** A verb of the proxy as a client reaches it. */
  ask<T>(verb: string, act: (proxy: ProxyContract, nowMs: number) => Promise<Outcome<T>>): Promise<Outcome<T>> {
    const target = this.config.composition === "standalone" ? "db" : "proxy";
    return this.network.call(this.client, target, verb, () => {
      const incarnation = this.#running.get(target);
      const proxy = incarnation?.services.proxy;
      if (incarnation === undefined || proxy === undefined) return undefined;
      return {
        process: incarnation.process,
        act: () => this.#guarded(target, () => act(proxy, incarnation.process.clock.nowMs())),
      };
    });
  }

  async #boot(spec: ProcessSpec, incarnation: Incarnation, random: SeededRandom): Promise<void> {
    const { process, services } = incarnation;
    for (;;) {
      const stores = await this.#stores(spec, incarnation, random);
      if (stores !== undefined) {
        const world = this.#world(process, stores, random);
        const engine = { addon: this.#addon, pool: this.#pool };
        const coordinator = this.#coordinatorConfig();
        const started = await startRoles(spec, {
          process,
          world,
          services,
          engine,
          coordinator,
          mutation: this.config.mutation,
        });
        if (started.ok) break;
        this.onLog?.(spec.name, "info", "start failed", describeError(started.error));
        for (const stop of services.stops.splice(0).reverse()) await stop();
      }
      // A supervisor would start the process again.
      await process.timers.sleep(RESTART_MS);
    }
    incarnation.isReady = true;
    this.config.scheduler.trace(`ready ${spec.name}`);
  }

  /** undefined when they cannot be opened just now. */
  async #stores(spec: ProcessSpec, incarnation: Incarnation, random: SeededRandom): Promise<Stores | undefined> {
    const { process, services } = incarnation;
    if (!spec.hasDisk) {
      const host = this.#running.get("storage");
      if (host?.services.stores === undefined) return undefined;
      return remoteStores(process, host.process, host.services.stores, random.fork("link"));
    }
    const { mutation } = this.config;
    const disk = processDisk(process, this.image, this.diskFaults, random.fork("disk"));
    const opened = await openStores(mutation.disk?.(disk) ?? disk, simLimits.logSegmentBytesMax);
    if (!opened.ok) {
      this.onLog?.(spec.name, "info", "stores not opened", describeError(opened.error));
      return undefined;
    }
    const { log, meta, objects } = opened.value;
    const audited = this.audit.watch(log);
    services.stores = {
      log: mutation.log?.(audited) ?? audited,
      meta: mutation.meta?.(meta) ?? meta,
      objects: mutation.objects?.(objects) ?? objects,
    };
    return services.stores;
  }

  #world(
    process: SimProcess,
    stores: Stores,
    random: SeededRandom,
  ): Omit<World, "peers"> & { peers: Peers | undefined } {
    return {
      ...stores,
      clock: process.clock,
      timers: process.timers,
      random: random.fork("role"),
      peers: this.config.composition === "standalone" ? undefined : this.#peersOf(process),
      executor: { threads: 0 },
      telemetry: this.#telemetry(process),
      limits: simLimits,
    };
  }

  #coordinatorConfig(): CoordinatorConfig {
    const isStandalone = this.config.composition === "standalone";
    const nodes = isStandalone ? [1] : [1, 2, 3];
    return {
      ...standaloneCoordinator,
      channels: nodes.map((number, index) => ({ channel: `p${index}` as ChannelName, node: node(number) })),
      queryNodes: isStandalone ? [node(1)] : [node(1), node(2)],
      jobIntervalMs: 200,
      garbageGraceMs: 6_000,
    };
  }

  #telemetry(process: SimProcess): Telemetry {
    const nothing = { add: () => {}, set: () => {}, observe: () => {} };
    return {
      counter: () => nothing,
      gauge: () => nothing,
      histogram: () => nothing,
      log: (level, message, fields) => {
        if (message === "log channel lost" && isFenced(fields)) this.#restartSoon(process);
        this.config.scheduler.trace(`${process.name} ${message}`);
        this.onLog?.(process.name, level, message, fields);
      },
    };
  }

  /** A node that another one has fenced ends itself, and its supervisor starts it again. */
  #restartSoon(process: SimProcess): void {
    process.after(SUPERVISOR_MS, "fenced", () => {
      const spec = this.specs.find(({ name }) => name === process.name);
      if (spec === undefined || this.#running.get(process.name)?.process !== process) return;
      this.crash(process.name, "kept");
      this.start(spec);
    });
  }

  #peersOf(process: SimProcess): Peers {
    const book = {
      streamingNode: (id: NodeId) => this.#stub(process, `streaming${id}`, "streamingNode", ["release"]),
      queryNode: (id: NodeId) => this.#stub(process, `query${id}`, "queryNode", []),
      dataNode: () => this.#dataNodeStub(process),
    };
    return { ...book, coordinator: this.#stub(process, "coordinator", "coordinator", []) };
  }

  #dataNodeStub(process: SimProcess): DataNodeContract {
    const stub = this.#stub(process, "data", "dataNode", ["cancelBuild"]);
    // The one synchronous answer; a transport would keep it up to date in the background.
    return override(stub, {
      buildProgress: (build) => this.#running.get("data")?.services.dataNode?.buildProgress(build),
    });
  }

  /** A contract whose verbs are calls over the network; `silent` verbs answer nothing. */
  #stub<Role extends RoleName>(
    from: SimProcess,
    to: string,
    role: Role,
    silent: readonly string[],
  ): NonNullable<Services[Role]> {
    type Contract = NonNullable<Services[Role]>;
    const verbOf =
      (name: string) =>
      (...args: unknown[]): unknown => {
        const askedMs = from.clock.nowMs();
        const answer = this.network.call<unknown>(from, to, name, () => {
          const incarnation = this.#running.get(to);
          const contract: unknown = incarnation?.services[role];
          if (incarnation === undefined || contract === undefined) return undefined;
          const sent = withLocalDeadlines(args, incarnation.process.clock.nowMs() - askedMs);
          return { process: incarnation.process, act: () => this.#guarded(to, () => invoke(contract, name, sent)) };
        });
        return silent.includes(name) ? undefined : answer;
      };
    return new Proxy({} as Contract, { get: (_target, name) => (typeof name === "string" ? verbOf(name) : undefined) });
  }

  /** A throw inside a role is a finding, and for the caller a failed call. */
  async #guarded<T>(where: string, act: () => Promise<Outcome<T>>): Promise<Outcome<T>> {
    try {
      return await act();
    } catch (cause) {
      this.report(where, cause);
      return fail({ kind: "internal", message: String(cause) });
    }
  }
}

function isFenced(fields: Readonly<Record<string, unknown>> | undefined): boolean {
  const error = fields?.["error"] as { readonly kind?: string } | undefined;
  return error?.kind === "fenced";
}

/** Deadlines travel as what is left of them, because no two processes' clocks agree. */
function withLocalDeadlines(args: readonly unknown[], shiftMs: number): readonly unknown[] {
  return args.map((argument) => {
    // No other number of a contract is a wall clock's.
    if (typeof argument === "number" && argument > EPOCH_MS / 2 && Number.isFinite(argument)) return argument + shiftMs;
    if (typeof argument !== "object" || argument === null || !("deadlineMs" in argument)) return argument;
    return { ...argument, deadlineMs: Number(argument.deadlineMs) + shiftMs };
  });
}

async function invoke(contract: unknown, verb: string, args: readonly unknown[]): Promise<Outcome<unknown>> {
  const methods = contract as Record<string, (...args: readonly unknown[]) => Promise<Outcome<unknown>> | undefined>;
  const answer = await methods[verb]?.(...args);
  return answer ?? { ok: true, value: undefined };
}
