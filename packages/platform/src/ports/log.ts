/** The write-ahead log: channels of numbered records, fenced by term. */
import type { ChannelName, LogPosition, Term } from "@elanus/model/id";
import type { Outcome } from "@elanus/model/outcome";

export interface LogFrame {
  readonly position: LogPosition;
  readonly bytes: Uint8Array;
}

export interface LogStore {
  /**
   * Takes the channel for `term` and repairs a torn tail. A writer of an older term fails with `fenced` from
   * then on. Damage before the tail is `fileCorrupt`, naming the file.
   */
  open(channel: ChannelName, term: Term): Promise<Outcome<LogWriter>>;
  /** Records with position > `after`, in order, up to the end at the time of the call. */
  read(channel: ChannelName, after: LogPosition): AsyncIterable<Outcome<LogFrame>>;
}

export interface LogWriter {
  /** Position of the newest durable record; 0 when empty. */
  readonly last: LogPosition;
  /**
   * One record, of `pieces` one after the other: a large one need not be copied together. It must not change meanwhile.
   * Durable when it resolves; concurrent appends share one fsync (group commit) and keep their call order.
   * After a failed write or fsync the outcome is unknown and the writer refuses everything until reopened.
   */
  append(pieces: readonly Uint8Array[]): Promise<Outcome<LogPosition>>;
  /** Proves that this writer still owns the channel; free for a file lock, an empty append elsewhere. */
  confirm(): Promise<Outcome<void>>;
  /** Frees records up to and including `position`; whole log segments only. */
  truncate(position: LogPosition): Promise<Outcome<void>>;
  close(): Promise<void>;
}
