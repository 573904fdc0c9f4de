/**
 * Puts a unary request together from HTTP/2 data chunks, cut anywhere. A message is copied once, into a buffer
 * of its announced size. Frame: compressed flag u8, length u32 big-endian, message.
 */
export const FRAME_HEADER_BYTES = 5;

export type FrameProblem =
  | { readonly kind: "tooLarge"; readonly bytes: number }
  | { readonly kind: "malformed"; readonly message: string };

export type UnaryMessage =
  | { readonly kind: "message"; readonly compressed: boolean; readonly bytes: Uint8Array }
  | FrameProblem;

export class UnaryAssembler {
  readonly #bytesMax: number;
  readonly #header = new Uint8Array(FRAME_HEADER_BYTES);
  #headerFilled = 0;
  #message: Uint8Array | undefined;
  #filled = 0;
  #problem: FrameProblem | undefined;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Undefined while all is well; a problem is final and later chunks are ignored. */
  push(chunk: Uint8Array): FrameProblem | undefined {
    let at = 0;
    while (this.#problem === undefined && at < chunk.length) at = this.#take(chunk, at);
    return this.#problem;
  }

  /** The caller has sent everything. */
  finish(): UnaryMessage {
    if (this.#problem !== undefined) return this.#problem;
    if (this.#message === undefined) return { kind: "malformed", message: "the request holds no message" };
    if (this.#filled < this.#message.length)
      return { kind: "malformed", message: "the request ends within its message" };
    return { kind: "message", compressed: this.#header[0] === 1, bytes: this.#message };
  }

  #take(chunk: Uint8Array, at: number): number {
    if (this.#message === undefined) return this.#takeHeader(chunk, at);
    const wanted = this.#message.length - this.#filled;
    if (wanted === 0) {
      this.#problem = { kind: "malformed", message: "a unary call holds more than one message" };
      return chunk.length;
    }
    const taken = Math.min(wanted, chunk.length - at);
    this.#message.set(chunk.subarray(at, at + taken), this.#filled);
    this.#filled += taken;
    return at + taken;
  }

  #takeHeader(chunk: Uint8Array, at: number): number {
    const taken = Math.min(FRAME_HEADER_BYTES - this.#headerFilled, chunk.length - at);
    this.#header.set(chunk.subarray(at, at + taken), this.#headerFilled);
    this.#headerFilled += taken;
    if (this.#headerFilled === FRAME_HEADER_BYTES) this.#openMessage();
    return at + taken;
  }

  #openMessage(): void {
    const bytes = new DataView(this.#header.buffer).getUint32(1);
    const flag = this.#header[0] ?? 0;
    if (flag > 1) this.#problem = { kind: "malformed", message: `the frame has flag ${flag}` };
    else if (bytes > this.#bytesMax) this.#problem = { kind: "tooLarge", bytes };
    else this.#message = new Uint8Array(bytes);
  }
}

export function frameHeader(bytes: number): Uint8Array {
  const header = new Uint8Array(FRAME_HEADER_BYTES);
  new DataView(header.buffer).setUint32(1, bytes);
  return header;
}
