/** The textual corners of gRPC over HTTP/2: status messages and timeouts in headers. */

/** Status numbers that a transport gives by itself. */
export const GrpcStatus = { deadlineExceeded: 4, resourceExhausted: 8, unimplemented: 12, internal: 13 } as const;

const utf8 = new TextEncoder();

/** Percent-encodes what may not stand in a header: everything but printable ASCII, and `%` itself. */
export function encodeStatusMessage(text: string): string {
  let encoded = "";
  for (const byte of utf8.encode(text)) {
    const plain = byte >= 0x20 && byte <= 0x7e && byte !== 0x25;
    encoded += plain ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return encoded;
}

const unitMs: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 0.001, n: 0.000_001 };

/** Milliseconds of a `grpc-timeout` header; undefined when it is absent or malformed. */
export function parseTimeoutMs(header: string | undefined): number | undefined {
  const match = header === undefined ? null : /^(\d{1,8})([HMSmun])$/.exec(header);
  const unit = match?.[2];
  if (match === null || unit === undefined) return undefined;
  return Number(match[1]) * (unitMs[unit] ?? 1);
}
