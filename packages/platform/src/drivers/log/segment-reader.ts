/** Reads the records of one segment file in order, window by window, and says how the file ends. */
import { Buffer } from "node:buffer";
import type { LogPosition } from "@elanus/model/id";
import { type Outcome, fail, succeed } from "@elanus/model/outcome";
import type { Disk, DiskFile } from "../../ports/disk.ts";
import {
  HEADER_BYTES,
  RECORD_HEADER_BYTES,
  type SegmentHeader,
  type SegmentRecord,
  claimedBytes,
  decodeHeader,
  decodeRecord,
  provesDurable,
} from "./segment-file.ts";

const WINDOW_BYTES = 1024 * 1024;

export type SegmentStep =
  | { readonly kind: "record"; readonly record: SegmentRecord }
  | { readonly kind: "end" }
  /** Nothing sound from here on. `durable`: what was here had been acknowledged. */
  | { readonly kind: "damage"; readonly offset: number; readonly durable: boolean };

export class SegmentReader {
  readonly path: string;
  readonly header: SegmentHeader;
  readonly #file: DiskFile;
  readonly #size: number;
  #expected: LogPosition;
  #offset = HEADER_BYTES;
  #window: Buffer = Buffer.alloc(0);
  #windowAt = 0;

  /** A file that has no sound header is `fileCorrupt`: files get their name only after their header is durable. */
  static async open(disk: Disk, path: string): Promise<Outcome<SegmentReader>> {
    const file = await disk.open(path, "read");
    if (!file.ok) return file;
    const size = await file.value.size();
    const header = size.ok ? await file.value.read(0, HEADER_BYTES) : size;
    if (!size.ok || !header.ok) {
      await file.value.close();
      return size.ok ? (header as Outcome<never>) : size;
    }
    const decoded = decodeHeader(header.value);
    if (typeof decoded !== "string") return succeed(new SegmentReader(path, file.value, size.value, decoded));
    await file.value.close();
    return fail({ kind: "fileCorrupt", file: path, message: `${decoded} at offset 0` });
  }

  private constructor(path: string, file: DiskFile, size: number, header: SegmentHeader) {
    this.path = path;
    this.header = header;
    this.#file = file;
    this.#size = size;
    this.#expected = header.first;
  }

  /** Position of the record that `next` will look for. */
  get expected(): LogPosition {
    return this.#expected;
  }

  /** End of the last sound record that was read. */
  get offset(): number {
    return this.#offset;
  }

  async next(): Promise<Outcome<SegmentStep>> {
    if (this.#offset === this.#size) return succeed({ kind: "end" });
    const header = await this.#bytes(RECORD_HEADER_BYTES);
    if (!header.ok) return header;
    if (header.value.length < RECORD_HEADER_BYTES) return this.#damage();
    const length = claimedBytes(header.value);
    if (this.#offset + length > this.#size) return this.#damage();
    const bytes = await this.#bytes(length);
    if (!bytes.ok) return bytes;
    const record = bytes.value.length < length ? undefined : decodeRecord(this.header.seed, bytes.value);
    if (record === undefined || record.position !== this.#expected) return this.#damage();
    this.#offset += length;
    this.#expected = (record.position + 1n) as LogPosition;
    return succeed({ kind: "record", record });
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  async #damage(): Promise<Outcome<SegmentStep>> {
    const tail = await this.#file.read(this.#offset, this.#size - this.#offset);
    if (!tail.ok) return tail;
    const bytes = Buffer.from(tail.value.buffer, tail.value.byteOffset, tail.value.byteLength);
    const durable = provesDurable(this.header.seed, this.#expected, bytes);
    return succeed({ kind: "damage", offset: this.#offset, durable });
  }

  /** At most `length` bytes from the current offset; fewer only at the end of the file. */
  async #bytes(length: number): Promise<Outcome<Buffer>> {
    const at = this.#offset - this.#windowAt;
    if (at < 0 || at + length > this.#window.length) {
      const wanted = Math.min(Math.max(length, WINDOW_BYTES), this.#size - this.#offset);
      const read = await this.#file.read(this.#offset, wanted);
      if (!read.ok) return read;
      // A fresh buffer each time: payloads handed out are views into it.
      this.#window = Buffer.from(read.value.buffer, read.value.byteOffset, read.value.byteLength);
      this.#windowAt = this.#offset;
    }
    const start = this.#offset - this.#windowAt;
    return succeed(this.#window.subarray(start, start + length));
  }
}
