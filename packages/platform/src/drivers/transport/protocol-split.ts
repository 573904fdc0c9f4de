/**
 * Tells HTTP/2 from HTTP/1.1 by a connection's first bytes, then hands the socket on as if untouched. Reading
 * with `readable` and pushing back with `unshift` keeps the socket paused: with a `data` listener the HTTP/2
 * server would miss the preface.
 */
import type { Socket } from "node:net";

export type Protocol = "http1" | "http2";

const PREFACE = "PRI * HTTP/2.0";
/** A connection that says nothing for so long is closed. */
const SILENCE_MS_MAX = 60_000;

/** Undefined: more bytes are needed. */
export function protocolOf(first: Uint8Array): Protocol | undefined {
  const length = Math.min(first.length, PREFACE.length);
  for (let at = 0; at < length; at++) {
    if (first[at] !== PREFACE.charCodeAt(at)) return "http1";
  }
  return length === PREFACE.length ? "http2" : undefined;
}

export function splitProtocol(socket: Socket, accept: (protocol: Protocol, socket: Socket) => void): void {
  const giveUp = (): void => {
    socket.destroy();
  };
  socket.setTimeout(SILENCE_MS_MAX, giveUp);
  const look = (): void => {
    const chunk = socket.read() as Buffer | null;
    if (chunk === null) {
      if (!socket.destroyed && !socket.readableEnded) socket.once("readable", look);
      return;
    }
    socket.unshift(chunk);
    const protocol = protocolOf(chunk);
    if (protocol === undefined) {
      waitForMore(socket, chunk.length, look);
      return;
    }
    socket.setTimeout(0);
    socket.removeListener("timeout", giveUp);
    accept(protocol, socket);
  };
  socket.once("readable", look);
}

/** After `unshift` the socket is readable at once; only a longer buffer is news. */
function waitForMore(socket: Socket, known: number, look: () => void): void {
  const again = (): void => {
    if (socket.destroyed) return;
    if (socket.readableLength > known || socket.readableEnded) look();
    else socket.once("readable", again);
  };
  socket.once("readable", again);
}
