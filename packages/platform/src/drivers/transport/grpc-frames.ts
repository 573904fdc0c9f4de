/**
 * Puts a unary request together from HTTP/2 data chunks, cut anywhere. A message that spans chunks is copied once,
 * into a buffer of its announced size. Frame: compressed flag u8, length u32 big-endian, message.
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
  /** Bytes of the header so far, while it comes in pieces. */
  #pieces: readonly number[] = [];
  #compressed = false;
  #message: Uint8Array | undefined;
  #filled = 0;
  #problem: FrameProblem | undefined;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Undefined while all is well; a problem is final and later chunks are ignored. The chunk may be kept. */
  push(chunk: Uint8Array): FrameProblem | undefined {
    let at = 0;
    while (this.#problem === undefined && at < chunk.length) {
      at = this.#message === undefined ? this.#takeHeader(chunk, at) : this.#takeMessage(this.#message, chunk, at);
    }
    return this.#problem;
  }

  /** Size of the message once its header is here. */
  get announced(): number | undefined {
    return this.#message?.length;
  }

  /** The caller has sent everything. */
  finish(): UnaryMessage {
    if (this.#problem !== undefined) return this.#problem;
    if (this.#message === undefined) return { kind: "malformed", message: "the request holds no message" };
    if (this.#filled < this.#message.length)
      return { kind: "malformed", message: "the request ends within its message" };
    return { kind: "message", compressed: this.#compressed, bytes: this.#message };
  }

  #takeMessage(message: Uint8Array, chunk: Uint8Array, at: number): number {
    const wanted = message.length - this.#filled;
    if (wanted === 0) {
      this.#problem = { kind: "malformed", message: "a unary call holds more than one message" };
      return chunk.length;
    }
    const taken = Math.min(wanted, chunk.length - at);
    message.set(chunk.subarray(at, at + taken), this.#filled);
    this.#filled += taken;
    return at + taken;
  }

  #takeHeader(chunk: Uint8Array, at: number): number {
    const end = Math.min(at + FRAME_HEADER_BYTES - this.#pieces.length, chunk.length);
    const header = [...this.#pieces, ...chunk.subarray(at, end)];
    const [flag, a, b, c, d] = header;
    if (flag === undefined || a === undefined || b === undefined || c === undefined || d === undefined) {
      this.#pieces = header;
      return end;
    }
    const bytes = a * 0x1_00_00_00 + b * 0x1_00_00 + c * 0x1_00 + d;
    if (flag > 1) this.#problem = { kind: "malformed", message: `the frame has flag ${flag}` };
    else if (bytes > this.#bytesMax) this.#problem = { kind: "tooLarge", bytes };
    else return this.#openMessage(chunk, end, bytes, flag === 1);
    return end;
  }

  /** A small request comes in one chunk and is not copied; of a large one the rest is still on its way. */
  #openMessage(chunk: Uint8Array, at: number, bytes: number, compressed: boolean): number {
    this.#compressed = compressed;
    if (chunk.length - at < bytes) {
      // Not cleared: it is read only once every byte has been written.
      this.#message = Buffer.allocUnsafeSlow(bytes);
      return at;
    }
    this.#message = chunk.subarray(at, at + bytes);
    this.#filled = bytes;
    return at + bytes;
  }
}

/** Header and message in one piece. */
export function framed(message: Uint8Array): Uint8Array {
  const frame = Buffer.allocUnsafe(FRAME_HEADER_BYTES + message.length);
  frame[0] = 0;
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, FRAME_HEADER_BYTES);
  return frame;
}

export function frameHeader(bytes: number): Uint8Array {
  const header = new Uint8Array(FRAME_HEADER_BYTES);
  new DataView(header.buffer).setUint32(1, bytes);
  return header;
}
