/** What an object's key may look like, so that no key ever leaves its folder. */
import { invariant } from "@elanus/model/outcome";

const KEY = /^[A-Za-z0-9_-][A-Za-z0-9_.-]*(\/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*$/;

/** Keys are ours; one that could name a parent folder or a hidden file is a bug. */
export function checkKey(key: string): void {
  invariant(KEY.test(key), `object key ${JSON.stringify(key)} is well formed`);
}

/** A copy: the caller may reuse its buffers. */
export function joinChunks(chunks: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0));
  let at = 0;
  for (const chunk of chunks) {
    joined.set(chunk, at);
    at += chunk.byteLength;
  }
  return joined;
}
