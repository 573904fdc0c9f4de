/**
 * Bounds the bytes of large requests that are being received or worked on. A request that does not fit waits its
 * turn unread, so HTTP/2's flow control slows its sender down: pressure instead of memory.
 */
import type { ListenOptions } from "../../ports/transport.ts";

const IN_FLIGHT_BYTES_DEFAULT = 512 * 1024 * 1024;
const STALL_MS_DEFAULT = 60_000;

/** The budget of a listener: what was asked for, else room for one request of any size. */
export function inFlightBytesMax(options: ListenOptions): number {
  return options.inFlightBytesMax ?? Math.max(IN_FLIGHT_BYTES_DEFAULT, options.requestBytesMax);
}

export function stallMsMax(options: ListenOptions): number {
  return options.stallMsMax ?? STALL_MS_DEFAULT;
}

export class InboundBudget {
  readonly #bytesMax: number;
  #taken = 0;
  /** First come, first served, so that a large request is not overtaken for ever. */
  readonly #waiting = new Set<Share>();

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get taken(): number {
    return this.#taken;
  }

  /** `granted` is called at once or later; a request above the whole budget is let in when it is alone. */
  ask(bytes: number, granted: () => void): Share {
    const share: Share = { bytes, granted, held: false };
    this.#waiting.add(share);
    this.#serve();
    return share;
  }

  /** Gives back what was granted, or stops waiting. Idempotent. */
  release(share: Share): void {
    if (share.held) this.#taken -= share.bytes;
    share.held = false;
    this.#waiting.delete(share);
    this.#serve();
  }

  #serve(): void {
    for (const share of this.#waiting) {
      if (this.#taken > 0 && this.#taken + share.bytes > this.#bytesMax) return;
      this.#waiting.delete(share);
      this.#taken += share.bytes;
      share.held = true;
      share.granted();
    }
  }
}

export interface Share {
  readonly bytes: number;
  readonly granted: () => void;
  held: boolean;
}
