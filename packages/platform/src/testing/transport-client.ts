/** A raw client for the transport contract: HTTP/2 frames and bare sockets, so that a test can misbehave. */
import { type ClientHttp2Session, connect as connectHttp2, type SecureClientSessionOptions } from "node:http2";
import { connect as connectTcp, type Socket } from "node:net";
import { frameHeader } from "../drivers/transport/grpc-frames.ts";
import type { Listener } from "../ports/transport.ts";

const closers: (() => Promise<void> | void)[] = [];

export function closeLater(close: () => Promise<void> | void): void {
  closers.push(close);
}

/** Closes what the test opened, the newest first. */
export async function closeAll(): Promise<void> {
  for (const close of closers.splice(0).reverse()) await close();
}

/** `secure`: over TLS. */
export function session(listener: Listener, secure?: SecureClientSessionOptions): ClientHttp2Session {
  const scheme = secure === undefined ? "http" : "https";
  const client = connectHttp2(`${scheme}://127.0.0.1:${listener.port}`, secure);
  client.on("error", () => {});
  closeLater(() => client.destroy());
  return client;
}

export interface RpcReply {
  readonly status: string | undefined;
  readonly message: string;
  readonly body: Buffer;
}

export interface CallOptions {
  readonly headers?: Record<string, string>;
  readonly flag?: number;
  /** Sent instead of a proper frame. */
  readonly raw?: Uint8Array;
  /** The caller does not say that it has sent everything. */
  readonly open?: boolean;
  readonly path?: string;
}

export function call(client: ClientHttp2Session, message: Uint8Array, options: CallOptions = {}): Promise<RpcReply> {
  return new Promise((resolve, reject) => {
    const headers = {
      ":method": "POST",
      ":path": options.path ?? "/pkg.Service/Echo",
      "content-type": "application/grpc",
      te: "trailers",
    };
    const stream = client.request({ ...headers, ...options.headers });
    const chunks: Buffer[] = [];
    let status: string | undefined;
    let text = "";
    const read = (from: Record<string, unknown>): void => {
      if (from["grpc-status"] !== undefined) status = String(from["grpc-status"]);
      if (from["grpc-message"] !== undefined) text = decodeURIComponent(String(from["grpc-message"]));
    };
    stream.on("response", read);
    stream.on("trailers", read);
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("error", reject);
    stream.on("close", () => resolve({ status, message: text, body: Buffer.concat(chunks).subarray(5) }));
    if (options.raw !== undefined) {
      stream.write(options.raw);
      if (options.open !== true) stream.end();
    } else {
      const header = frameHeader(message.length);
      header[0] = options.flag ?? 0;
      stream.write(header);
      stream.end(message);
    }
  });
}

/** A promise and the function that resolves it. */
export function gate(): readonly [Promise<void>, () => void] {
  let open: (() => void) | undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return [opened, () => open?.()];
}

export function connected(listener: Listener): Promise<Socket> {
  return new Promise((resolve) => {
    const socket = connectTcp(listener.port, "127.0.0.1", () => resolve(socket));
    socket.on("error", () => {});
    closeLater(() => {
      socket.destroy();
    });
  });
}

export function readAll(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    socket.on("data", (chunk: Buffer) => {
      text += chunk.toString("latin1");
    });
    socket.on("close", () => resolve(text));
  });
}
