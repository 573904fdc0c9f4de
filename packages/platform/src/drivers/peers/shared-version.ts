/** A version that one thread sets and every thread reads at once, without a message. */
export class SharedVersion {
  /** Goes to the other threads, which open it with `new SharedVersion(memory)`. */
  readonly memory: SharedArrayBuffer;
  readonly #cell: BigInt64Array;

  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(BigInt64Array.BYTES_PER_ELEMENT)) {
    this.memory = memory;
    this.#cell = new BigInt64Array(memory);
  }

  get value(): number {
    return Number(Atomics.load(this.#cell, 0));
  }

  set value(version: number) {
    Atomics.store(this.#cell, 0, BigInt(version));
  }
}
