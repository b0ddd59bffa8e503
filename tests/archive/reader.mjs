// A reader of archives that shares nothing with ecm-agent but the page FORMAT.md.
//
//     ECM_EXPORT_PASSWORD=... node reader.mjs <archive>
//
// prints one JSON object: what the archive holds, or {"error": kind, "exit": code} and ends with that code.

import { createDecipheriv, createHash, scryptSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { gunzipSync, zstdDecompressSync } from "node:zlib";

class Refused extends Error {
  constructor(kind, exit) {
    super(kind);
    Object.assign(this, { kind, exit });
  }
}

const invalid = () => new Refused("archive_invalid", 13);

function plaintext(file, password) {
  if (file.subarray(0, 4).toString("latin1") !== "ECM\0") return file;
  if (file.length <= 48) throw invalid();
  if (!password) throw new Refused("password_missing", 2);
  const key = scryptSync(Buffer.from(password, "utf8"), file.subarray(4, 20), 32, { N: 16384, r: 8, p: 1 });
  const decipher = createDecipheriv("aes-256-gcm", key, file.subarray(20, 32));
  decipher.setAuthTag(file.subarray(32, 48));
  const plain = decipher.update(file.subarray(48));
  try {
    decipher.final();
  } catch {
    throw beginsLikeADocument(plain.subarray(0, 16)) ? invalid() : new Refused("decryption_failed", 12);
  }
  return plain;
}

function beginsLikeADocument(begin) {
  const hex = begin.toString("hex");
  if (hex.startsWith("1f8b08") || hex.startsWith("28b52ffd")) return true;
  return /^\{[\t\n\r\x20-\x7e]*$/.test(begin.toString("latin1"));
}

function decompressed(bytes) {
  try {
    if (bytes.subarray(0, 2).toString("hex") === "1f8b") return gunzipSync(bytes);
    if (bytes.subarray(0, 4).toString("hex") === "28b52ffd") return zstdDecompressSync(bytes);
  } catch {
    throw invalid();
  }
  return bytes;
}

function parsed(bytes) {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    throw invalid();
  }
}

// The bytes between the line `"name":[` and the line that begins with `]`; nothing where the layout is another one.
function recordLines(bytes, name) {
  const opening = Buffer.from(`\n"${name}":[\n`);
  const start = bytes.indexOf(opening) + opening.length;
  if (start < opening.length) return undefined;
  return bytes.subarray(start, bytes.indexOf("\n]", start - 1) + 1);
}

function headLines(bytes) {
  const second = bytes.indexOf("\n") + 1;
  if (bytes.indexOf('{"format":') !== 0 || bytes.indexOf('"metadata":{', second) !== second) return undefined;
  return bytes.subarray(0, bytes.indexOf("\n", second) + 1);
}

function checkedDigests(document, bytes) {
  const { algorithm, head, sections = {} } = document.digests ?? {};
  const pieces = Object.entries(sections).map(([name, digest]) => [name, recordLines(bytes, name), digest]);
  if (head) pieces.push(["head", headLines(bytes), head]);
  const checkable = pieces.filter(([, lines]) => lines !== undefined);
  for (const [, lines, digest] of checkable) {
    if (algorithm !== "sha256") throw invalid();
    if (createHash("sha256").update(lines).digest("hex") !== digest) throw invalid();
  }
  return checkable.map(([name]) => name);
}

function memberships(document) {
  if (document.metadata.membershipCount != null) return document.memberships ?? [];
  return document.clusters.flatMap((cluster) =>
    (cluster.memberChunkIds ?? []).map((chunkId) => ({ chunkId, clusterId: cluster.id, distance: 0 })),
  );
}

const COUNTS = {
  chunks: "chunkCount",
  edges: "edgeCount",
  clusters: "clusterCount",
  memberships: "membershipCount",
  vectorClocks: "vectorClockCount",
  vectors: "vectorCount",
  rows: "rowCount",
};

function sections(document) {
  const found = Object.fromEntries(Object.keys(COUNTS).map((name) => [name, document[name] ?? []]));
  for (const [name, count] of Object.entries(COUNTS)) {
    if ((document.metadata[count] ?? 0) !== found[name].length) throw invalid();
  }
  checkRows(document.metadata.schema ?? {}, found.rows);
  return { ...found, memberships: memberships(document) };
}

function checkRows(schema, rows) {
  const lengths = {};
  const left = {};
  for (const { name, columns, rows: count } of schema.tables ?? []) {
    if (count == null) continue;
    lengths[name] = columns.filter((column) => column.generated == null).length;
    left[name] = count;
  }
  for (const { name, columns, rows: count } of schema.fullTexts ?? []) {
    if (count == null) continue;
    lengths[name] = columns.length + 1;
    left[name] = count;
  }
  for (const { table, values } of rows) {
    if (values.length !== lengths[table]) throw invalid();
    left[table] -= 1;
  }
  if (Object.values(left).some((count) => count !== 0)) throw invalid();
}

// One more than the number of the record before it in its table, where a record does not say it.
function rowNumbers(records) {
  const last = {};
  return records.map(({ table = "", rowNumber }) => (last[table] = rowNumber ?? (last[table] ?? 0) + 1));
}

function floats(embedding) {
  if (Array.isArray(embedding)) return embedding;
  const bytes = Buffer.from(embedding, "base64");
  return Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readFloatLE(4 * i));
}

function read(path, password) {
  const bytes = decompressed(plaintext(readFileSync(path), password));
  const document = parsed(bytes);
  if (document.format !== "ecm-archive" || document.version !== "1.0" || !document.metadata) throw invalid();
  for (const name of ["chunks", "edges", "clusters"]) if (!Array.isArray(document[name])) throw invalid();
  const found = sections(document);
  return {
    created: document.created,
    projects: document.metadata.projects,
    counts: Object.fromEntries(Object.entries(found).map(([name, records]) => [name, records.length])),
    chunks: found.chunks.map((chunk) => [chunk.id, chunk.content]),
    edges: found.edges.map((edge) => [edge.source, edge.target, edge.type, edge.weight]),
    clusters: found.clusters.map((cluster) => cluster.id),
    memberships: found.memberships.map((member) => [member.chunkId, member.clusterId, member.distance]),
    vectors: found.vectors.map((vector) => [vector.chunkId, floats(vector.embedding)]),
    rows: found.rows.map((row) => [row.table, row.values.length]),
    rowNumbers: Object.fromEntries(Object.entries(found).map(([name, records]) => [name, rowNumbers(records)])),
    digestsChecked: checkedDigests(document, bytes),
  };
}

try {
  console.log(JSON.stringify(read(process.argv[2], process.env.ECM_EXPORT_PASSWORD)));
} catch (error) {
  if (!(error instanceof Refused)) throw error;
  console.log(JSON.stringify({ error: error.kind, exit: error.exit }));
  process.exitCode = error.exit;
}
