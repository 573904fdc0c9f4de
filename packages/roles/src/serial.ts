/** Work that must not overlap: each task starts when the one before it has ended, well or badly. */
export class Serial {
  #tail: Promise<unknown> = Promise.resolve();

  run<T>(task: () => T | Promise<T>): Promise<T> {
    const result = this.#tail.then(task);
    this.#tail = result.then(ignore, ignore);
    return result;
  }
}

/** One `Serial` per key, kept only while it has work. */
export class KeyedSerial<K> {
  readonly #running = new Map<K, { readonly serial: Serial; users: number }>();

  async run<T>(key: K, task: () => T | Promise<T>): Promise<T> {
    const entry = this.#running.get(key) ?? { serial: new Serial(), users: 0 };
    this.#running.set(key, entry);
    entry.users += 1;
    try {
      return await entry.serial.run(task);
    } finally {
      entry.users -= 1;
      if (entry.users === 0) this.#running.delete(key);
    }
  }
}

function ignore(): void {}
