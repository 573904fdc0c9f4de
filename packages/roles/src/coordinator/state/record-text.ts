/**
 * Text form of everything the coordinator stores (docs/formats/meta.md): `ELN1`, a checksum, and JSON in
 * which a 64-bit integer is the text `#` + decimal, and a text that starts with `#` has one more in front.
 */
import { fail, succeed, type Outcome } from "@elanus/model/outcome";
import { crc32c } from "./checksum.ts";

const MAGIC = "ELN1";
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

export function encodeRecord(value: unknown): Uint8Array {
  const body = encoder.encode(JSON.stringify(value, escapeValue));
  const head = encoder.encode(`${MAGIC} ${crc32c(body).toString(16).padStart(8, "0")} `);
  const bytes = new Uint8Array(head.length + body.length);
  bytes.set(head, 0);
  bytes.set(body, head.length);
  return bytes;
}

/** `name` is the key or file of the record, for the message when it is damaged. */
export function decodeRecord<T>(name: string, bytes: Uint8Array): Outcome<T> {
  const headLength = MAGIC.length + 10;
  const head = new TextDecoder().decode(bytes.subarray(0, headLength));
  const match = /^ELN1 ([0-9a-f]{8}) $/.exec(head);
  if (match === null) return fail({ kind: "fileCorrupt", file: name, message: "not a catalog record" });
  const body = bytes.subarray(headLength);
  if (crc32c(body) !== Number.parseInt(match[1] ?? "", 16)) {
    return fail({ kind: "fileCorrupt", file: name, message: "checksum mismatch" });
  }
  return succeed(JSON.parse(decoder.decode(body), unescapeValue) as T);
}

function escapeValue(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return `#${value}`;
  if (typeof value === "string" && value.startsWith("#")) return `#${value}`;
  return value;
}

function unescapeValue(_key: string, value: unknown): unknown {
  if (typeof value !== "string" || !value.startsWith("#")) return value;
  return value.startsWith("##") ? value.slice(1) : BigInt(value.slice(1));
}
