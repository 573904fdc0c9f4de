#!/usr/bin/env node
/**
 * Writes packages/wire/src/gen: typed codecs for every message and the method tables of Milvus's services.
 *
 * The descriptors come from the official Node client's package (protobufjs JSON). On the wire a sub-message and
 * a `bytes` field are the same, so payload fields are overlaid as bytes: the decoder hands out views of the
 * request, and native code reads and writes the bodies. 64-bit integers are bigint. Nothing here is committed.
 */
import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const target = join(root, "packages/wire/src/gen");

/** `package.Message.field`: read and written as opaque sub-messages. */
const payloadFields = new Set([
  "milvus.InsertRequest.fieldsData",
  "milvus.UpsertRequest.fieldsData",
  "milvus.MutationResult.IDs",
  "milvus.SearchResults.results",
  "milvus.QueryResults.fieldsData",
]);

/** The standard health service; the client's package does not carry it. */
const healthPackage = {
  HealthCheckRequest: { fields: { service: { type: "string", id: 1 } } },
  HealthCheckResponse: {
    fields: { status: { type: "ServingStatus", id: 1 } },
    nested: { ServingStatus: { values: { UNKNOWN: 0, SERVING: 1, NOT_SERVING: 2, SERVICE_UNKNOWN: 3 } } },
  },
  Health: {
    methods: {
      Check: { requestType: "HealthCheckRequest", responseType: "HealthCheckResponse" },
      Watch: { requestType: "HealthCheckRequest", responseType: "HealthCheckResponse", responseStream: true },
    },
  },
};

/** Wire type and reader/writer calls of each scalar. */
const scalars = {
  double: { wire: 1, type: "number", zero: "0", read: "r.double()", write: "double" },
  float: { wire: 5, type: "number", zero: "0", read: "r.float()", write: "float" },
  int32: { wire: 0, type: "number", zero: "0", read: "r.int32()", write: "int32" },
  uint32: { wire: 0, type: "number", zero: "0", read: "r.uint32()", write: "uint32" },
  enum: { wire: 0, type: "number", zero: "0", read: "r.int32()", write: "int32" },
  int64: { wire: 0, type: "bigint", zero: "0n", read: "readInt64(r)", write: "int64", long: "longOf" },
  uint64: { wire: 0, type: "bigint", zero: "0n", read: "readUint64(r)", write: "uint64", long: "unsignedLongOf" },
  bool: { wire: 0, type: "boolean", zero: "false", read: "r.bool()", write: "bool" },
  string: { wire: 2, type: "string", zero: '""', read: "readString(r, end)", write: "string" },
  bytes: { wire: 2, type: "Uint8Array", zero: "emptyBytes", read: "readBytes(r, end)", write: "bytes" },
};

function readDescriptors() {
  const require = createRequire(join(root, "packages/wire/package.json"));
  const json = require("@zilliz/milvus2-sdk-node/dist/milvus/proto-json/milvus.base.js").default;
  const packages = new Map();
  for (const [name, body] of Object.entries(json.nested.milvus.nested.proto.nested)) {
    packages.set(name, { fullName: `milvus.proto.${name}`, nested: body.nested });
  }
  packages.set("health", { fullName: "grpc.health.v1", nested: healthPackage });
  return packages;
}

/** Every message, enum and service by full dotted name below its package, with its name in TypeScript. */
function collect(packages) {
  const types = new Map();
  const visit = (packageName, path, nested) => {
    for (const [name, body] of Object.entries(nested)) {
      const dotted = [...path, name];
      const key = `${packageName}.${dotted.join(".")}`;
      const kind = body.fields ? "message" : body.values ? "enum" : body.methods ? "service" : undefined;
      if (kind) types.set(key, { key, kind, package: packageName, path: dotted, name: dotted.join("_"), body });
      if (body.nested) visit(packageName, dotted, body.nested);
    }
  };
  for (const [name, body] of packages) visit(name, [], body.nested);
  return types;
}

/** Protobuf's scoping: innermost first, then outwards, then package-qualified. */
function resolve(types, from, reference) {
  for (let depth = from.path.length; depth >= 0; depth--) {
    const found = types.get([from.package, ...from.path.slice(0, depth), reference].join("."));
    if (found) return found;
  }
  const found = types.get(reference) ?? types.get(reference.replace(/^\.?milvus\.proto\./, ""));
  if (!found) throw new Error(`type ${reference} of ${from.key} is unknown`);
  return found;
}

function describeValue(types, message, type) {
  if (type in scalars) return { ...scalars[type], kind: "scalar" };
  const found = resolve(types, message, type);
  if (found.kind === "enum") return { ...scalars.enum, kind: "scalar" };
  const prefix = found.package === message.package ? "" : `${found.package}.`;
  return {
    kind: "message",
    wire: 2,
    type: `${prefix}${found.name}`,
    decode: `${prefix}decode${found.name}`,
    encode: `${prefix}encode${found.name}`,
    uses: found.package,
  };
}

function describeFields(types, message) {
  const optional = new Set();
  for (const oneof of Object.values(message.body.oneofs ?? {})) for (const field of oneof.oneof) optional.add(field);
  return Object.entries(message.body.fields).map(([name, field]) => {
    const payload = payloadFields.has(`${message.package}.${message.path.join(".")}.${name}`);
    const value = payload ? { ...scalars.bytes, kind: "scalar" } : describeValue(types, message, field.type);
    const shape = field.keyType ? "map" : field.rule === "repeated" ? "repeated" : "single";
    const presence = shape === "single" && (value.kind === "message" || payload || optional.has(name));
    return { name, id: field.id, value, shape, presence, key: field.keyType ? scalars[field.keyType] : undefined };
  });
}

function fieldType(field) {
  if (field.shape === "map") return `ReadonlyMap<${field.key.type}, ${field.value.type}>`;
  if (field.shape === "repeated") return `readonly ${field.value.type}[]`;
  return field.presence ? `${field.value.type} | undefined` : field.value.type;
}

const tag = (id, wire) => (id * 8 + wire) >>> 0;
const readOne = (value, local) =>
  value.kind === "message" ? `${value.decode}(r, endOf(r, ${local}), depth + 1)` : value.read.replace("end", local);
const writeOne = (value, text) =>
  value.long ? `w.${value.write}(${value.long}(${text}))` : `w.${value.write}(${text})`;

const emptyValue = (value) => (value.kind === "message" ? `${value.decode}(r, r.pos, depth + 1)` : value.zero);

function decodeCases(field) {
  const { value, id, name } = field;
  if (field.shape === "map") {
    return [
      `      case ${tag(id, 2)}: {`,
      `        const stop = endOf(r, end);`,
      `        let key: ${field.key.type} = ${field.key.zero};`,
      `        let value: ${value.type} = ${emptyValue(value)};`,
      `        while (r.pos < stop) {`,
      `          const inner = r.uint32();`,
      `          if (inner === ${tag(1, field.key.wire)}) key = ${readOne({ ...field.key, kind: "scalar" }, "stop")};`,
      `          else if (inner === ${tag(2, value.wire)}) value = ${readOne(value, "stop")};`,
      `          else skipField(r, inner, stop);`,
      `        }`,
      `        checkEnd(r, stop);`,
      `        ${name}.set(key, value);`,
      `        break;`,
      `      }`,
    ];
  }
  if (field.shape === "single")
    return [`      case ${tag(id, value.wire)}: m.${name} = ${readOne(value, "end")}; break;`];
  const one = [`      case ${tag(id, value.wire)}: ${name}.push(${readOne(value, "end")}); break;`];
  if (value.wire === 2) return one;
  return [
    ...one,
    `      case ${tag(id, 2)}: {`,
    `        const stop = endOf(r, end);`,
    `        while (r.pos < stop) ${name}.push(${readOne(value, "stop")});`,
    `        checkEnd(r, stop);`,
    `        break;`,
    `      }`,
  ];
}

function decodeFunction(message, fields) {
  const many = fields.filter((f) => f.shape !== "single");
  const locals = many.map((f) =>
    f.shape === "map"
      ? `  const ${f.name} = new Map<${f.key.type}, ${f.value.type}>();`
      : `  const ${f.name}: ${f.value.type}[] = [];`,
  );
  const initial = fields.map((f) =>
    f.shape !== "single" ? f.name : `${f.name}: ${f.presence ? "undefined" : f.value.zero}`,
  );
  return [
    `export function decode${message.name}(r: Reader, end: number, depth: number): ${message.name} {`,
    `  checkDepth(depth);`,
    ...locals,
    `  const m: Mutable<${message.name}> = { ${initial.join(", ")} };`,
    `  while (r.pos < end) {`,
    `    const tag = r.uint32();`,
    `    switch (tag) {`,
    ...fields.flatMap(decodeCases),
    `      default: skipField(r, tag, end);`,
    `    }`,
    `  }`,
    `  checkEnd(r, end);`,
    `  return m;`,
    `}`,
  ];
}

/** Whether a field without presence is sent. Negative zero is not the default: its bits differ. */
function isSet(value, text) {
  if (value.type === "Uint8Array") return `${text}.length > 0`;
  return value.write === "double" || value.write === "float" ? `!Object.is(${text}, 0)` : `${text} !== ${value.zero}`;
}

function encodeLines(field) {
  const { value, id, name } = field;
  const local = "v";
  if (field.shape === "map") {
    const entry =
      value.kind === "message"
        ? `w.uint32(${tag(2, 2)}).fork(); ${value.encode}(w, value); w.ldelim();`
        : `w.uint32(${tag(2, value.wire)}); ${writeOne(value, "value")};`;
    return [
      `  if (m.${name} !== undefined) for (const [key, value] of m.${name}) {`,
      `    w.uint32(${tag(id, 2)}).fork().uint32(${tag(1, field.key.wire)}); ${writeOne(field.key, "key")};`,
      `    ${entry}`,
      `    w.ldelim();`,
      `  }`,
    ];
  }
  if (field.shape === "repeated") {
    const loop = `  if (m.${name} !== undefined) for (const ${local} of m.${name}) {`;
    if (value.kind === "message")
      return [
        loop,
        `    w.uint32(${tag(id, 2)}).fork();`,
        `    ${value.encode}(w, ${local});`,
        `    w.ldelim();`,
        `  }`,
      ];
    if (value.wire === 2) return [loop, `    w.uint32(${tag(id, 2)});`, `    ${writeOne(value, local)};`, `  }`];
    return [
      `  if (m.${name} !== undefined && m.${name}.length > 0) {`,
      `    w.uint32(${tag(id, 2)}).fork();`,
      `    for (const ${local} of m.${name}) ${writeOne(value, local)};`,
      `    w.ldelim();`,
      `  }`,
    ];
  }
  if (value.kind === "message")
    return [
      `  if (m.${name} !== undefined) { w.uint32(${tag(id, 2)}).fork(); ${value.encode}(w, m.${name}); w.ldelim(); }`,
    ];
  const present = field.presence ? "" : ` && ${isSet(value, `m.${name}`)}`;
  return [
    `  if (m.${name} !== undefined${present}) { w.uint32(${tag(id, value.wire)}); ${writeOne(value, `m.${name}`)}; }`,
  ];
}

function messageSource(message, fields) {
  return [
    `export interface ${message.name} {`,
    ...fields.map((f) => `  readonly ${f.name}: ${fieldType(f)};`),
    `}`,
    ...decodeFunction(message, fields),
    `export function encode${message.name}(w: Writer, m: Init<${message.name}>): void {`,
    ...fields.flatMap(encodeLines),
    `}`,
    `export const ${message.name}Codec: Codec<${message.name}> = {`,
    `  name: ${JSON.stringify(message.key)},`,
    `  decode: decode${message.name},`,
    `  encode: encode${message.name},`,
    `};`,
    ``,
  ];
}

function enumSource(type) {
  return [
    `export const ${type.name} = {`,
    ...Object.entries(type.body.values).map(([name, value]) => `  ${name}: ${value},`),
    `} as const;`,
    `export type ${type.name} = number;`,
    ``,
  ];
}

function packageSource(types, packageName) {
  const own = [...types.values()].filter((t) => t.package === packageName);
  const messages = own.filter((t) => t.kind === "message").map((t) => ({ type: t, fields: describeFields(types, t) }));
  const uses = new Set(
    messages.flatMap((m) => m.fields.map((f) => f.value.uses)).filter((p) => p && p !== packageName),
  );
  return [
    `// Generated by scripts/generate-proto.mjs. Do not edit.`,
    `import type { Reader, Writer } from "protobufjs/minimal.js";`,
    `import {`,
    `  checkDepth, checkEnd, type Codec, emptyBytes, endOf, type Init, longOf, type Mutable, readBytes, readInt64,`,
    `  readString, readUint64, skipField, unsignedLongOf,`,
    `} from "../protobuf/runtime.ts";`,
    ...[...uses].sort().map((p) => `import * as ${p} from "./${p}.ts";`),
    ``,
    ...own.filter((t) => t.kind === "enum").flatMap(enumSource),
    ...messages.flatMap((m) => messageSource(m.type, m.fields)),
  ].join("\n");
}

/** Where a response carries its Status: nowhere, in a field, or it is one itself. */
function statusField(types, message) {
  if (message.key === "common.Status") return '"self"';
  const found = Object.entries(message.body.fields).find(
    ([, f]) => /(^|\.)Status$/.test(f.type) && resolve(types, message, f.type).key === "common.Status",
  );
  return found ? JSON.stringify(found[0]) : "undefined";
}

function servicesSource(types, packages) {
  const services = [...types.values()].filter((t) => t.kind === "service");
  const codec = (service, reference) => {
    const found = resolve(types, service, reference);
    return {
      type: `${found.package}.${found.name}`,
      codec: `${found.package}.${found.name}Codec`,
      status: statusField(types, found),
    };
  };
  const lines = [
    `// Generated by scripts/generate-proto.mjs. Do not edit.`,
    `import type { Method } from "../protobuf/runtime.ts";`,
    ...[...packages.keys()].map((p) => `import * as ${p} from "./${p}.ts";`),
    ``,
  ];
  for (const service of services) {
    const methods = Object.entries(service.body.methods).map(([name, m]) => ({
      name,
      request: codec(service, m.requestType),
      response: codec(service, m.responseType),
      streaming: Boolean(m.requestStream || m.responseStream),
    }));
    lines.push(
      `export interface ${service.name} {`,
      ...methods.map((m) => `  readonly ${m.name}: Method<${m.request.type}, ${m.response.type}>;`),
      `}`,
      `export const ${service.name}Name = "${packages.get(service.package).fullName}.${service.name}";`,
      `export const ${service.name}Methods: ${service.name} = {`,
      ...methods.map(
        (m) =>
          `  ${m.name}: { name: "${m.name}", request: ${m.request.codec}, response: ${m.response.codec},` +
          ` streaming: ${m.streaming}, statusField: ${m.response.status} },`,
      ),
      `};`,
      ``,
    );
  }
  return lines.join("\n");
}

/** Whole files appear at once, so that an interrupted run never leaves half a codec. */
function write(name, text) {
  const path = join(target, name);
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
}

const packages = readDescriptors();
const types = collect(packages);
mkdirSync(target, { recursive: true });
for (const name of packages.keys()) write(`${name}.ts`, `${packageSource(types, name)}\n`);
write("services.ts", `${servicesSource(types, packages)}\n`);
