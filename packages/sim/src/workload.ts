/** Sessions that insert, upsert, delete, read and reshape collections at random, and note down every answer. */
import type { Consistency } from "@elanus/model/contract/proxy";
import type { DbErrorKind } from "@elanus/model/error";
import type { Outcome } from "@elanus/model/outcome";
import type { Timestamp } from "@elanus/model/time";
import type { Cluster } from "./cluster.ts";
import { type Answer, DatabaseClient, keysFilter, strong } from "./database-client.ts";
import type { Read, ReadLevel, Recorder, Write } from "./history.ts";
import type { SeededRandom } from "./random.ts";
import { rowOf, vectorOf } from "./rows.ts";

export interface WorkloadConfig {
  readonly cluster: Cluster;
  readonly recorder: Recorder;
  readonly random: SeededRandom;
  readonly collection: string;
  readonly keyCount: number;
  /** All keys of one write get one timestamp. */
  readonly isAtomic: boolean;
}

/** Failures that prove the request did nothing; everything else may have happened or happen yet. */
const REFUSALS: ReadonlySet<DbErrorKind> = new Set([
  "collectionNotFound",
  "collectionNotLoaded",
  "invalidParameter",
  "missingParameter",
  "illegalSchema",
  "planFailed",
]);

const LEVELS: readonly ReadLevel[] = ["strong", "strong", "strong", "session", "bounded", "eventually"];

export class Workload {
  readonly client: DatabaseClient;
  readonly #config: WorkloadConfig;
  readonly #failures = new Map<string, number>();

  constructor(config: WorkloadConfig) {
    this.#config = config;
    this.client = new DatabaseClient(config.cluster);
  }

  /** How often a verb failed with a kind; shows that a run did something. */
  get failures(): ReadonlyMap<string, number> {
    return this.#failures;
  }

  /** One session's life. */
  async session(number: number, operations: number): Promise<void> {
    const random = this.#config.random.fork(`session ${number}`);
    const session: Session = { number, random, newest: 0n as Timestamp };
    for (let count = 0; count < operations; count += 1) {
      await this.#config.cluster.client.timers.sleep(random.next() * random.next() * 1_500);
      await this.#step(session);
    }
  }

  /** One write outside the sessions. */
  setOne(): Promise<void> {
    return this.#set({ number: 0, random: this.#config.random, newest: 0n as Timestamp });
  }

  async #step(session: Session): Promise<void> {
    const dice = session.random.next();
    if (dice < 0.32) await this.#set(session);
    else if (dice < 0.44) await this.#delete(session);
    else if (dice < 0.58) await this.scan(this.#levelOf(session), session.number);
    else if (dice < 0.7) await this.#get(session);
    else if (dice < 0.82) await this.search(this.#levelOf(session), session.number, session.random);
    else if (dice < 0.89) await this.count(session.number);
    else if (dice < 0.93) await this.#iterate(session);
    else if (dice < 0.965) this.#note("flush", await this.client.flush(this.#config.collection));
    else if (dice < 0.985) this.#note("compact", await this.client.compact(this.#config.collection));
    else await this.#reload();
  }

  async #set(session: Session): Promise<void> {
    const { recorder, collection, isAtomic } = this.#config;
    const keys = this.#someKeys(session.random, session.random.pick([1, 1, 2, 3, 5]));
    const id = recorder.newId();
    const write = recorder.startWrite({
      id,
      session: session.number,
      collection,
      kind: "set",
      keys,
      version: id,
      isAtomic: isAtomic || keys.length === 1,
    });
    const rows = keys.map((key) => rowOf(key, id, session.number));
    const verb = session.random.chance(0.5) ? "insert" : "upsert";
    this.#settle(session, write, verb, await this.client.write(collection, rows, verb));
  }

  async #delete(session: Session): Promise<void> {
    const { recorder, collection, isAtomic } = this.#config;
    const keys = this.#someKeys(session.random, session.random.pick([1, 1, 2, 4]));
    const id = recorder.newId();
    const write = recorder.startWrite({
      id,
      session: session.number,
      collection,
      kind: "delete",
      keys,
      version: -1,
      isAtomic: isAtomic || keys.length === 1,
    });
    this.#settle(session, write, "delete", await this.client.delete(collection, keys));
  }

  #settle(session: Session, write: Write, verb: string, outcome: Outcome<{ readonly at: Timestamp }>): void {
    this.#note(verb, outcome);
    if (outcome.ok) {
      this.#config.recorder.acknowledge(write, outcome.value.at);
      if (outcome.value.at > session.newest) session.newest = outcome.value.at;
    } else if (REFUSALS.has(outcome.error.kind)) this.#config.recorder.refuse(write);
  }

  scan(level: LevelOf, session: number): Promise<Outcome<Answer>> {
    const { collection } = this.#config;
    return this.#read("scan", level, session, "all", (consistency) => this.client.query(collection, "", consistency));
  }

  async #get(session: Session): Promise<void> {
    const keys = this.#someKeys(session.random, session.random.pick([1, 2, 6]));
    const { collection } = this.#config;
    await this.#read("get", this.#levelOf(session), session.number, keys, (consistency) =>
      this.client.query(collection, keysFilter(keys), consistency),
    );
  }

  async search(level: LevelOf, session: number, random: SeededRandom): Promise<void> {
    const { recorder, collection } = this.#config;
    const topK = random.pick([1, 3, 10, 100]);
    const vector = vectorOf(String(random.below(1_000)), 0);
    const read: Read = recorder.startRead({ session, collection, via: "search", level: level.level, keys: "all" });
    const found = await this.client.search(collection, vector, topK, level.consistency);
    this.#note("search", found);
    if (!found.ok) return;
    read.rows = found.value;
    read.topK = topK;
    recorder.endRead(read);
  }

  async count(session: number): Promise<Outcome<number>> {
    const { recorder, collection } = this.#config;
    const read = recorder.startRead({ session, collection, via: "count", level: "strong", keys: "all" });
    const counted = await this.client.count(collection, strong);
    this.#note("count", counted);
    if (counted.ok) {
      read.count = counted.value;
      recorder.endRead(read);
    }
    return counted;
  }

  /** Pages by key at the snapshot of the first. */
  async #iterate(session: Session): Promise<void> {
    const { recorder, collection } = this.#config;
    const read = recorder.startRead({
      session: session.number,
      collection,
      via: "iterator",
      level: "strong",
      keys: "all",
    });
    const limit = session.random.pick([2, 5]);
    const rows: Read["rows"][number][] = [];
    let consistency = strong;
    let after = "";
    for (;;) {
      const page = await this.client.query(collection, after, consistency, { limit });
      this.#note("iterator", page);
      if (!page.ok) return;
      rows.push(...page.value.rows);
      const last = page.value.rows.at(-1);
      if (last === undefined || page.value.rows.length < limit) break;
      if (after === "") consistency = { level: "strong", guarantee: page.value.sessionTimestamp };
      after = `id > ${last.key}`;
    }
    read.rows = rows;
    recorder.endRead(read);
  }

  async #reload(): Promise<void> {
    this.#note("release", await this.client.release(this.#config.collection));
    await this.#config.cluster.client.timers.sleep(50);
    this.#note("load", await this.client.load(this.#config.collection));
  }

  async #read(
    via: Read["via"],
    level: LevelOf,
    session: number,
    keys: Read["keys"],
    ask: (consistency: Consistency) => Promise<Outcome<Answer>>,
  ): Promise<Outcome<Answer>> {
    const { recorder, collection } = this.#config;
    const read = recorder.startRead({ session, collection, via, level: level.level, keys });
    const answer = await ask(level.consistency);
    this.#note(via, answer);
    if (answer.ok) {
      read.rows = answer.value.rows;
      recorder.endRead(read);
    }
    return answer;
  }

  #levelOf(session: Session): LevelOf {
    const level = session.random.pick(LEVELS);
    const guarantee = level === "session" ? session.newest : (0n as Timestamp);
    return { level, consistency: { level, guarantee } };
  }

  #someKeys(random: SeededRandom, count: number): readonly string[] {
    const all = Array.from({ length: this.#config.keyCount }, (_, key) => String(key));
    return random.shuffled(all).slice(0, count);
  }

  #note(verb: string, outcome: Outcome<unknown>): void {
    const name = outcome.ok ? `${verb} ok` : `${verb} ${outcome.error.kind}`;
    this.#failures.set(name, (this.#failures.get(name) ?? 0) + 1);
    if (!outcome.ok) this.#config.cluster.onLog?.("client", "info", `${verb} failed`, outcome.error);
  }
}

export interface LevelOf {
  readonly level: ReadLevel;
  readonly consistency: Consistency;
}

export const strongLevel: LevelOf = { level: "strong", consistency: strong };

interface Session {
  readonly number: number;
  readonly random: SeededRandom;
  /** Timestamp of its newest own write: what a client sends along with session reads. */
  newest: Timestamp;
}
