// Zip files without compression, written and read without holding the whole in memory. Reading also takes
// compressed entries, as a file that was packed again has them.

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; ++k) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});

async function crc32(blob: Blob): Promise<number> {
  let crc = 0xffffffff;
  for await (const bytes of blob.stream() as unknown as AsyncIterable<Uint8Array>) {
    for (const byte of bytes) crc = TABLE[(crc ^ byte) & 0xff]! ^ (crc >>> 8);
  }
  return (crc ^ 0xffffffff) >>> 0;
}

const MAX_BYTES = 0xfffffffe;

// Fields of 2 and 4 bytes, little-endian.
function record(...fields: [size: 2 | 4, value: number][]): Uint8Array<ArrayBuffer> {
  const out = new DataView(new ArrayBuffer(fields.reduce((sum, [size]) => sum + size, 0)));
  let at = 0;
  for (const [size, value] of fields) {
    if (size === 2) out.setUint16(at, value, true);
    else out.setUint32(at, value, true);
    at += size;
  }
  return new Uint8Array(out.buffer);
}

export async function writeZip(entries: { name: string; data: Blob }[]): Promise<Blob> {
  const parts: BlobPart[] = [];
  const directory: BlobPart[] = [];
  let offset = 0;
  let directoryBytes = 0;
  for (const { name, data } of entries) {
    const path = new TextEncoder().encode(name);
    const crc = await crc32(data);
    // version 2.0, names in UTF-8, stored, 1 January 1980: the same content is the same file
    const common: [2 | 4, number][] = [[2, 20], [2, 0x800], [2, 0], [2, 0], [2, 0x21], [4, crc], [4, data.size], [4, data.size], [2, path.length], [2, 0]];
    parts.push(record([4, 0x04034b50], ...common), path, data);
    directory.push(record([4, 0x02014b50], [2, 20], ...common, [2, 0], [2, 0], [2, 0], [4, 0], [4, offset]), path);
    offset += 30 + path.length + data.size;
    directoryBytes += 46 + path.length;
    if (offset + directoryBytes > MAX_BYTES || entries.length > 65_535) {
      throw new Error("The history is above 4 GB; export chats one at a time.");
    }
  }
  const n = entries.length;
  const end = record([4, 0x06054b50], [2, 0], [2, 0], [2, n], [2, n], [4, directoryBytes], [4, offset], [2, 0]);
  return new Blob([...parts, ...directory, end], { type: "application/zip" });
}

// The entries by name; their bytes are read when they are asked for. Throws Error where this is no zip file.
export async function readZip(file: Blob): Promise<Map<string, () => Promise<Blob>>> {
  const wrong = (what: string) => new Error(`This is not a file that this page exported (${what}).`);
  const view = async (from: number, to: number) => new DataView(await file.slice(from, to).arrayBuffer());
  const tailAt = Math.max(0, file.size - 65_557);
  const tail = await view(tailAt, file.size);
  let at = tail.byteLength - 22;
  while (at >= 0 && tail.getUint32(at, true) !== 0x06054b50) --at;
  if (at < 0) throw wrong("no zip directory");
  const [count, size, offset] = [tail.getUint16(at + 10, true), tail.getUint32(at + 12, true), tail.getUint32(at + 16, true)];
  if (offset + size > tailAt + at) throw wrong("its directory lies outside");
  const directory = await view(offset, offset + size);
  const entries = new Map<string, () => Promise<Blob>>();
  let next = 0;
  for (let i = 0; i < count; ++i) {
    if (next + 46 > size || directory.getUint32(next, true) !== 0x02014b50) throw wrong("a broken directory");
    const method = directory.getUint16(next + 10, true);
    const [packed, full] = [directory.getUint32(next + 20, true), directory.getUint32(next + 24, true)];
    const [nameSize, more] = [directory.getUint16(next + 28, true), directory.getUint16(next + 30, true) + directory.getUint16(next + 32, true)];
    const header = directory.getUint32(next + 42, true);
    if (next + 46 + nameSize > size || header + 30 + packed > file.size) throw wrong("an entry outside");
    const name = new TextDecoder().decode(new Uint8Array(directory.buffer, next + 46, nameSize));
    entries.set(name, async () => {
      const local = await view(header, header + 30);
      if (local.getUint32(0, true) !== 0x04034b50) throw wrong("a broken entry");
      const begin = header + 30 + local.getUint16(26, true) + local.getUint16(28, true);
      const data = file.slice(begin, begin + packed);
      if (method === 0) return data;
      if (method === 8) return inflate(data, full);
      throw wrong("an unknown compression");
    });
    next += 46 + nameSize + more;
  }
  return entries;
}

async function inflate(data: Blob, size: number): Promise<Blob> {
  const parts: BlobPart[] = [];
  let sum = 0;
  const stream = data.stream().pipeThrough(new DecompressionStream("deflate-raw"));
  for await (const bytes of stream as unknown as AsyncIterable<Uint8Array<ArrayBuffer>>) {
    sum += bytes.length;
    // What an entry says of itself bounds what is unpacked.
    if (sum > size) throw new Error("This zip file is broken (an entry is longer than it says).");
    parts.push(bytes);
  }
  return new Blob(parts);
}
