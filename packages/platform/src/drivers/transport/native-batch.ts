/** Reads the batches of events that the native listener hands over; `native/listener/src/batch.rs` says their form. */
import type { Metadata } from "../../ports/transport.ts";

export type DoorEvent =
  | {
      readonly kind: "rpc";
      readonly id: number;
      readonly target: string;
      readonly headers: HeaderLines;
      readonly compressed: boolean;
      readonly timeoutMs: number | undefined;
      /** Undefined: it is fetched by the id. */
      readonly body: Uint8Array | undefined;
    }
  | {
      readonly kind: "http";
      readonly id: number;
      readonly target: string;
      readonly headers: HeaderLines;
      readonly body: Uint8Array | undefined;
    }
  | { readonly kind: "left"; readonly id: number }
  | { readonly kind: "closed" };

const HEAD_BYTES = 32;
const KIND_RPC = 0;
const KIND_LEFT = 2;
const KIND_CLOSED = 3;
const FLAG_COMPRESSED = 1;
const FLAG_APART = 2;

/** Bodies are views of `batch`. */
export function* eventsOf(batch: Buffer): Generator<DoorEvent> {
  for (let at = 0; at < batch.length; ) {
    const kind = batch.readUInt8(at);
    const flags = batch.readUInt8(at + 1);
    const targetAt = at + HEAD_BYTES;
    const headersAt = targetAt + batch.readUInt32LE(at + 4);
    const bodyAt = headersAt + batch.readUInt32LE(at + 8);
    const isApart = (flags & FLAG_APART) !== 0;
    const end = isApart ? bodyAt : bodyAt + batch.readUInt32LE(at + 12);
    const id = batch.readDoubleLE(at + 16);
    const timeoutMs = batch.readDoubleLE(at + 24);
    at = end;
    if (kind === KIND_CLOSED) yield { kind: "closed" };
    else if (kind === KIND_LEFT) yield { kind: "left", id };
    else {
      const target = batch.toString("latin1", targetAt, headersAt);
      const headers = new HeaderLines(batch.toString("latin1", headersAt, bodyAt));
      const body = isApart ? undefined : batch.subarray(bodyAt, end);
      const compressed = (flags & FLAG_COMPRESSED) !== 0;
      yield kind === KIND_RPC
        ? { kind: "rpc", id, target, headers, compressed, timeoutMs: timeoutMs < 0 ? undefined : timeoutMs, body }
        : { kind: "http", id, target, headers, body };
    }
  }
}

/** Headers as lines `name:value`, each after a line feed, which no header can hold. Few are ever looked at. */
export class HeaderLines implements Metadata {
  readonly #lines: string;

  constructor(lines: string) {
    this.#lines = lines;
  }

  get(name: string): string | undefined {
    const start = `\n${name}:`;
    const at = this.#lines.indexOf(start);
    if (at < 0) return undefined;
    const end = this.#lines.indexOf("\n", at + start.length);
    return this.#lines.slice(at + start.length, end < 0 ? undefined : end);
  }
}
