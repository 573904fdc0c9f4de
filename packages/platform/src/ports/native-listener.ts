/**
 * The listener of the native engine (`native/listener`), as its driver needs it. Requests come in batches: `ring`
 * says that there is one, `take` gives it. `id`s name requests until they are answered.
 */
export interface NativeListenerOptions {
  readonly host: string;
  /** 0 picks a free port. */
  readonly port: number;
  /** Of a `NativeEntrance`, in place of host and port: the listener shares its connections with others. */
  readonly entrance?: number;
  readonly requestBytesMax: number;
  readonly responseBytesMax: number;
  readonly inFlightBytesMax: number;
  readonly stallMsMax: number;
  /** Threads that read and write sockets. */
  readonly threads: number;
  /** PEM, both or none: with them the port speaks TLS only. */
  readonly certificate?: Uint8Array;
  readonly key?: Uint8Array;
}

export interface NativeListener {
  readonly port: number;
  /** Every event since the last call, as `native/listener/src/batch.rs` writes them; may be empty. */
  take(): Buffer;
  /** A body that the batch did not hold, over native memory; once. Undefined when its caller has left. */
  body(id: number): Uint8Array | undefined;
  /** Frees such a body at once; what still looks at it sees nothing. */
  release(body: ArrayBufferLike): void;
  /** Goes out with the next `send`; without effect, as the other answers, when the caller has left. */
  answerMessage(id: number, message: Uint8Array, keepOpen: boolean): void;
  answerFailure(id: number, status: number, message: string): void;
  /** `headers`: names and values in turn. */
  answerHttp(id: number, status: number, headers: readonly string[], body: readonly Uint8Array[]): void;
  /** Sends the answers since the last call: one waking of the listener's threads for all of them. */
  send(): void;
  /** Takes no new calls; the last event follows when all connections are closed. */
  close(graceMs: number): void;
  /** Frees everything; later calls do nothing. */
  free(): void;
}

/** Throws with `code` `ioFailed` when it cannot listen. */
export type OpenNativeListener = new (options: NativeListenerOptions, ring: () => void) => NativeListener;

/** A bound socket that listeners of several threads share: a connection goes to the one that has the fewest. */
export interface NativeEntrance {
  /** Names it in every thread. */
  readonly id: number;
  readonly port: number;
  /** No further listener can share it; those that do go on. */
  close(): void;
}

/** Throws as `OpenNativeListener`. */
export type OpenNativeEntrance = new (host: string, port: number) => NativeEntrance;
