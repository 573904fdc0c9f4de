/**
 * One seed: a composition is started, worked on under faults, mended, looked at from all sides, cut off once more and
 * looked at again. Then every checker judges the history. The same seed gives the same trace hash.
 */
import type { Addon } from "@elanus/engine/addon";
import type { Outcome } from "@elanus/model/outcome";
import { allCheckers } from "./checkers/all.ts";
import { noLeak } from "./checkers/no-leak.ts";
import { CHURNED, Churn } from "./churn.ts";
import { Cluster } from "./cluster.ts";
import type { Composition } from "./composition.ts";
import { keysFilter, strong } from "./database-client.ts";
import { type FaultKind, FaultPlan, chooseFaults } from "./faults.ts";
import { type AccessPath, type Checker, type History, Recorder, type StorageAudit, type Violation } from "./history.ts";
import { type Mutation, noMutation } from "./mutation.ts";
import { SeededRandom } from "./random.ts";
import { BUCKETS, distanceOf, vectorOf } from "./rows.ts";
import { Scheduler } from "./scheduler.ts";
import { Workload, strongLevel } from "./workload.ts";

export interface SeedConfig {
  readonly seed: number;
  readonly composition: Composition;
  readonly addon: Addon;
  readonly mutation?: Mutation;
  /** Absent: chosen by the seed. */
  readonly faults?: readonly FaultKind[];
  readonly checkers?: readonly Checker[];
  /** Follows the run line by line. */
  readonly onLine?: (line: string) => void;
}

export interface SeedResult {
  readonly violations: readonly Violation[];
  readonly traceHash: number;
  readonly events: number;
  readonly simulatedMs: number;
  readonly faults: ReadonlyMap<string, number>;
  readonly answers: ReadonlyMap<string, number>;
}

const COLLECTION = "docs";
const SESSIONS = 3;
const KEYS = 14;
const PREPARE_MS_MAX = 30_000;
const WORK_MS_MAX = 300_000;
const MEND_MS_MAX = 15_000;
const RECOVER_MS_MAX = 10_000;
const LOAD_MS_MAX = 60_000;
const AUDIT_MS_MAX = 240_000;
const GARBAGE_MS_MAX = 60_000;
const GARBAGE_POLL_MS = 3_000;

export async function runSeed(config: SeedConfig): Promise<SeedResult> {
  const run = new SeedRun(config);
  const onRejection = (cause: unknown): void => run.cluster.report("unhandled", cause);
  process.on("unhandledRejection", onRejection);
  try {
    return await run.go();
  } finally {
    process.off("unhandledRejection", onRejection);
  }
}

class SeedRun {
  readonly cluster: Cluster;
  readonly #config: SeedConfig;
  readonly #scheduler = new Scheduler();
  readonly #random: SeededRandom;
  readonly #recorder: Recorder;
  readonly #workload: Workload;
  readonly #plan: FaultPlan;
  readonly #violations: Violation[] = [];

  constructor(config: SeedConfig) {
    this.#config = config;
    const { composition, addon } = config;
    this.#random = new SeededRandom(`${composition}/${config.seed}`);
    this.#recorder = new Recorder(() => this.#scheduler.nowMs);
    this.cluster = new Cluster({
      composition,
      addon,
      scheduler: this.#scheduler,
      random: this.#random.fork("cluster"),
      mutation: config.mutation ?? noMutation,
    });
    this.#workload = new Workload({
      cluster: this.cluster,
      recorder: this.#recorder,
      random: this.#random.fork("workload"),
      collection: COLLECTION,
      keyCount: KEYS,
      isAtomic: composition === "standalone",
    });
    const kinds = config.faults ?? chooseFaults(composition, this.#random.fork("swarm"));
    this.#plan = new FaultPlan(this.cluster, kinds, this.#random.fork("faults"));
    const { onLine } = config;
    if (onLine !== undefined) this.#follow(onLine);
  }

  async go(): Promise<SeedResult> {
    this.cluster.startAll();
    if (await this.#phase("prepare", PREPARE_MS_MAX, () => this.#prepare())) {
      const faults = this.#plan.run();
      await this.#phase("work", WORK_MS_MAX, () => this.#work());
      await this.#phase("mend", MEND_MS_MAX, () => this.#plan.stop());
      void faults;
      await this.#phase("audit", AUDIT_MS_MAX, () => this.#audit());
    }
    this.#judge();
    return {
      violations: this.#violations,
      traceHash: this.#scheduler.traceHash,
      events: this.#scheduler.eventCount,
      simulatedMs: this.#scheduler.nowMs,
      faults: this.#plan.met,
      answers: this.#workload.failures,
    };
  }

  /** Runs the world until the phase is over; false, and a violation, when it does not end. */
  async #phase(name: string, limitMs: number, act: () => Promise<void>): Promise<boolean> {
    this.#config.onLine?.(`== ${name}`);
    let isOver = false;
    const done = act()
      .catch((cause: unknown) => this.cluster.report(name, cause))
      .finally(() => {
        isOver = true;
      });
    const end = await this.#scheduler.run(() => isOver, this.#scheduler.nowMs + limitMs);
    if (end !== "done") {
      this.#violations.push({ invariant: "I15", message: `${name} did not end: ${end}` });
      return false;
    }
    await done;
    return true;
  }

  async #prepare(): Promise<void> {
    const { client } = this.#workload;
    const shards = this.#config.composition === "standalone" ? this.#random.between(1, 2) : 3;
    await this.#untilOk("create", 20_000, () => client.createCollection(COLLECTION, shards));
    const index = this.#random.fork("index").pick(["FLAT", "HNSW", "IVF_FLAT"]);
    await this.#untilOk("index", 20_000, () => client.createIndex(COLLECTION, index));
    await this.#untilOk("load", 20_000, () => client.load(COLLECTION));
    await this.#untilOk("loaded", 20_000, () => this.#loaded());
  }

  async #work(): Promise<void> {
    const operations = this.#random.between(15, 30);
    const sessions = Array.from({ length: SESSIONS }, (_, index) => this.#workload.session(index + 1, operations));
    const churn = new Churn(this.cluster, this.#recorder, this.#random.fork("churn"));
    await Promise.all([...sessions, churn.run(this.#random.between(1, 5))]);
  }

  async #audit(): Promise<void> {
    const { client } = this.#workload;
    // A release may have been the last that the sessions did.
    await this.#untilOk("load after the faults", RECOVER_MS_MAX, () => client.load(COLLECTION));
    await this.#untilOk("strong read after the faults", RECOVER_MS_MAX, () => this.#workload.scan(strongLevel, 0));
    await this.#untilOk("loaded after the faults", LOAD_MS_MAX, () => this.#loaded());
    await this.#untilOk("write after the faults", RECOVER_MS_MAX, () => this.#writeOnce());
    await this.#lookAround("after the faults");
    await this.#untilOk("flush after the faults", RECOVER_MS_MAX, () => client.flush(COLLECTION));
    await this.#lookAround("after a flush");
    await this.#compact();
    await this.#lookAround("after a compaction");
    this.cluster.crashAll(this.#random.pick(["kept", "dropped", "torn", "reordered"] as const));
    this.cluster.startAll();
    await this.#untilOk("strong read after a restart", RECOVER_MS_MAX, () => this.#workload.scan(strongLevel, 0));
    await this.#untilOk("loaded after a restart", LOAD_MS_MAX, () => this.#loaded());
    await this.#lookAround("after a restart");
    await this.#storageAudit();
  }

  async #compact(): Promise<void> {
    const { client } = this.#workload;
    const started = await this.#untilOk("compaction", RECOVER_MS_MAX, () => client.compact(COLLECTION));
    if (!started?.ok || started.value.plans === 0) return;
    const { compaction } = started.value;
    await this.#untilOk("compaction done", LOAD_MS_MAX, async () => settled(await client.isCompacted(compaction)));
  }

  async #loaded(): Promise<Outcome<void>> {
    return settled(await this.#workload.client.isLoaded(COLLECTION));
  }

  async #writeOnce(): Promise<Outcome<unknown>> {
    // Through the ordinary path, so that the checkers know of it.
    const before = this.#recorder.writes.length;
    await this.#workload.setOne();
    const write = this.#recorder.writes[before];
    return write?.outcome === "acked"
      ? { ok: true, value: undefined }
      : { ok: false, error: { kind: "internal", message: "not acknowledged" } };
  }

  /** All ways to the data, while nothing else happens. */
  async #lookAround(when: string): Promise<void> {
    const { client } = this.#workload;
    const scanned = await this.#untilOk(`scan ${when}`, RECOVER_MS_MAX, () => this.#workload.scan(strongLevel, 0));
    if (!scanned?.ok) return;
    const { rows } = scanned.value;
    await this.#untilOk(`count ${when}`, RECOVER_MS_MAX, () => this.#workload.count(0));
    await this.#workload.search(strongLevel, 0, this.#random);
    await this.#exactSearch(rows.map(({ key, version }) => vectorOf(key, version)));
    const allKeys = Array.from({ length: KEYS }, (_, key) => String(key));
    const paths: AccessPath[] = [{ collection: COLLECTION, name: `scan ${when}`, keys: rows.map((row) => row.key) }];
    const add = async (
      name: string,
      ask: () => Promise<Outcome<readonly { readonly key: string }[]>>,
    ): Promise<void> => {
      const found = await this.#untilOk(`${name} ${when}`, RECOVER_MS_MAX, ask);
      if (found?.ok)
        paths.push({ collection: COLLECTION, name: `${name} ${when}`, keys: found.value.map((row) => row.key) });
    };
    const rowsOf = async (filter: string): Promise<Outcome<readonly { readonly key: string }[]>> => {
      const found = await client.query(COLLECTION, filter, strong);
      return found.ok ? { ok: true, value: found.value.rows } : found;
    };
    await add("key access", () => rowsOf(keysFilter(allKeys)));
    await add("vector search", () => client.search(COLLECTION, vectorOf("0", 0), KEYS + 5, strong));
    await add("filtered search", () => client.search(COLLECTION, vectorOf("1", 0), KEYS + 5, strong, "version > 0"));
    await add("filter", () => rowsOf("version > 0"));
    this.#recorder.accessPaths.push(paths);
    const bucket = this.#random.below(BUCKETS);
    const naive = rows.filter((row) => row.version % BUCKETS === bucket).map((row) => row.key);
    const filtered = await this.#untilOk(`bucket ${when}`, RECOVER_MS_MAX, () =>
      rowsOf(`bucket == ${bucket} and id >= 0`),
    );
    if (!filtered?.ok) return;
    this.#recorder.accessPaths.push([
      { collection: COLLECTION, name: `naive filter ${when}`, keys: naive },
      { collection: COLLECTION, name: `scalar filter ${when}`, keys: filtered.value.map((row) => row.key) },
    ]);
  }

  async #exactSearch(vectors: readonly (readonly number[])[]): Promise<void> {
    const topK = this.#random.pick([1, 4, 10]);
    const query = vectorOf(String(this.#random.below(1_000)), 0);
    const read = this.#recorder.startRead({
      session: 0,
      collection: COLLECTION,
      via: "search",
      level: "strong",
      keys: "all",
    });
    const found = await this.#workload.client.search(COLLECTION, query, topK, strong);
    if (!found.ok) return;
    read.rows = found.value;
    read.topK = topK;
    read.exact = vectors
      .map((vector) => distanceOf(vector, query))
      .sort((a, b) => a - b)
      .slice(0, topK);
    this.#recorder.endRead(read);
  }

  /** Late compactions make late garbage: the store is asked until it is clean, and judged as it is at the end. */
  async #storageAudit(): Promise<void> {
    let audit: StorageAudit | undefined;
    const endMs = this.#scheduler.nowMs + GARBAGE_MS_MAX;
    do {
      await this.cluster.client.timers.sleep(GARBAGE_POLL_MS);
      const files = await this.#untilOk("list of segments", RECOVER_MS_MAX, () => this.#allFiles());
      if (!files?.ok) return;
      const stored = this.cluster.image.paths
        .filter((path) => path.startsWith("objects/segments/") || path.startsWith("objects/manifests/"))
        .map((path) => path.slice("objects/".length));
      audit = { stored, referenced: [...files.value, ...(await this.cluster.manifestKeys())] };
    } while (this.#scheduler.nowMs < endMs && noLeak.check({ ...this.#history(), storage: [audit] }).length > 0);
    this.#recorder.storage.push(audit);
  }

  /** Files of the sealed segments of both collections, whether or not the churned one lives just now. */
  async #allFiles(): Promise<Outcome<readonly string[]>> {
    const files = await this.#workload.client.files(COLLECTION);
    const churned = await this.#workload.client.files(CHURNED);
    if (!churned.ok && churned.error.kind === "collectionNotFound") return files;
    if (!files.ok || !churned.ok) return files.ok ? churned : files;
    return { ok: true, value: [...files.value, ...churned.value] };
  }

  async #untilOk<T>(what: string, limitMs: number, ask: () => Promise<Outcome<T>>): Promise<Outcome<T> | undefined> {
    const startedMs = this.#scheduler.nowMs;
    let last: Outcome<T> | undefined;
    while (this.#scheduler.nowMs - startedMs <= limitMs) {
      last = await ask();
      if (last.ok) break;
      await this.cluster.client.timers.sleep(100);
    }
    const failure = last?.ok === false ? JSON.stringify(last.error) : undefined;
    const tookMs = this.#scheduler.nowMs - startedMs;
    this.#recorder.recoveries.push({ what, tookMs, limitMs, ...(failure === undefined ? {} : { failure }) });
    return last;
  }

  #history(): History {
    return {
      writes: this.#recorder.writes,
      reads: this.#recorder.reads,
      records: this.cluster.audit.records,
      accessPaths: this.#recorder.accessPaths,
      storage: this.#recorder.storage,
      recoveries: this.#recorder.recoveries,
      hasClockFaults: this.#plan.hasClockFaults,
    };
  }

  #judge(): void {
    const history = this.#history();
    for (const checker of this.#config.checkers ?? allCheckers) {
      for (const message of checker.check(history)) this.#violations.push({ invariant: checker.invariant, message });
    }
    for (const message of this.cluster.exceptions) this.#violations.push({ invariant: "throw", message });
  }

  #follow(onLine: (line: string) => void): void {
    const now = (): string => this.#scheduler.nowMs.toFixed(1).padStart(9);
    this.cluster.onLog = (name, level, message, fields) => {
      const detail = JSON.stringify(fields, (_key, value: unknown) =>
        typeof value === "bigint" ? `${value}n` : value,
      );
      onLine(`${now()} ${level} ${name}: ${message} ${detail ?? ""}`);
    };
  }
}

/** "Not yet" as a failure that is asked again. */
function settled(outcome: Outcome<boolean>): Outcome<void> {
  if (!outcome.ok) return outcome;
  return outcome.value
    ? { ok: true, value: undefined }
    : { ok: false, error: { kind: "notReady", message: "not settled yet" } };
}
