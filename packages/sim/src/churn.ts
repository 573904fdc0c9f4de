/**
 * One session that creates, fills, reads and drops a collection of the same name over and over. Each life has its own
 * name in the history, so that a row of an earlier life is a row that nobody wrote.
 */
import type { Outcome } from "@elanus/model/outcome";
import type { Cluster } from "./cluster.ts";
import { DatabaseClient, strong } from "./database-client.ts";
import type { Recorder } from "./history.ts";
import type { SeededRandom } from "./random.ts";
import { rowOf } from "./rows.ts";

export const CHURNED = "temp";
const SESSION = 99;
const TRIES_MAX = 8;
const RETRY_MS = 150;

export class Churn {
  readonly #cluster: Cluster;
  readonly #client: DatabaseClient;
  readonly #recorder: Recorder;
  readonly #random: SeededRandom;
  #life = 0;

  constructor(cluster: Cluster, recorder: Recorder, random: SeededRandom) {
    this.#cluster = cluster;
    this.#client = new DatabaseClient(cluster);
    this.#recorder = recorder;
    this.#random = random;
  }

  /** Lives the given number of lives; one that cannot be begun or ended under the faults ends the session. */
  async run(lives: number): Promise<void> {
    for (let count = 0; count < lives; count += 1) {
      await this.#cluster.client.timers.sleep(this.#random.next() * 1_500);
      this.#life += 1;
      if (!(await this.#begin())) return;
      await this.#fill();
      await this.#read();
      // Until the drop is acknowledged the next life could still meet this one.
      if (!(await this.#untilOk(() => this.#client.drop(CHURNED)))) return;
    }
  }

  get #collection(): string {
    return `${CHURNED}#${this.#life}`;
  }

  async #begin(): Promise<boolean> {
    const client = this.#client;
    if (!(await this.#untilOk(() => client.createCollection(CHURNED, 1)))) return false;
    if (!(await this.#untilOk(() => client.createIndex(CHURNED, "FLAT")))) return false;
    return this.#untilOk(() => client.load(CHURNED));
  }

  async #fill(): Promise<void> {
    for (let count = this.#random.between(1, 3); count > 0; count -= 1) {
      const id = this.#recorder.newId();
      const keys = [String(this.#random.below(5)), String(5 + this.#random.below(5))];
      const write = this.#recorder.startWrite({
        id,
        session: SESSION,
        collection: this.#collection,
        kind: "set",
        keys,
        version: id,
        isAtomic: true,
      });
      const rows = keys.map((key) => rowOf(key, id, SESSION));
      const answer = await this.#client.write(CHURNED, rows, "insert");
      if (answer.ok) this.#recorder.acknowledge(write, answer.value.at);
    }
    if (this.#random.chance(0.3)) await this.#client.flush(CHURNED);
  }

  async #read(): Promise<void> {
    const read = this.#recorder.startRead({
      session: SESSION,
      collection: this.#collection,
      via: "scan",
      level: "strong",
      keys: "all",
    });
    const answer = await this.#client.query(CHURNED, "", strong);
    if (!answer.ok) return;
    read.rows = answer.value.rows;
    this.#recorder.endRead(read);
  }

  async #untilOk(ask: () => Promise<Outcome<unknown>>): Promise<boolean> {
    for (let tries = 1; tries <= TRIES_MAX; tries += 1) {
      if ((await ask()).ok) return true;
      await this.#cluster.client.timers.sleep(RETRY_MS * tries);
    }
    return false;
  }
}
