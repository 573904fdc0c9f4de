/** Compressed gRPC messages. */
import { gunzip } from "node:zlib";
import { GrpcStatus } from "./grpc-text.ts";

export type Decompressed =
  | { readonly kind: "plain"; readonly bytes: Uint8Array }
  | { readonly kind: "refused"; readonly status: number; readonly message: string };

/** Never more than `bytesMax`, however small the compressed message is. */
export function decompress(encoding: string | undefined, bytes: Uint8Array, bytesMax: number): Promise<Decompressed> {
  if (encoding !== "gzip") {
    const message = `grpc: Decompressor is not installed for grpc-encoding "${encoding ?? ""}"`;
    return Promise.resolve({ kind: "refused", status: GrpcStatus.unimplemented, message });
  }
  return new Promise((resolve) => {
    gunzip(bytes, { maxOutputLength: bytesMax }, (error, plain) => {
      if (error === null) resolve({ kind: "plain", bytes: plain });
      else if ((error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE") {
        const message = `grpc: received message larger than max (${bytesMax + 1} vs. ${bytesMax})`;
        resolve({ kind: "refused", status: GrpcStatus.resourceExhausted, message });
      } else {
        const message = `failed to decompress the message: ${error.message}`;
        resolve({ kind: "refused", status: GrpcStatus.internal, message });
      }
    });
  });
}
