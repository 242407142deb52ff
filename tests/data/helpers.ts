/**
 * Shared by the tests of the data room: golden files, data outside the checkout, and small
 * datasets written on the spot.
 */
import type { DataFile } from "../../data/local_file.ts";
import { type ColumnSource, parquetWriteBuffer } from "hyparquet-writer";

/** Golden files of these tests. */
export const GOLDEN = new URL("../golden/data/", import.meta.url);
const SHARED = new URL("../../../shared/", import.meta.url);

/** A path beside the checkout, or undefined, with the reason printed, where it is absent. */
export function sharedPath(path: string): string | undefined {
  const url = new URL(path, SHARED);
  try {
    Deno.statSync(url);
    return url.pathname;
  } catch {
    console.log(`skipped: tests of ../shared/${path}, which is not there`);
    return undefined;
  }
}

/** Tensors of a safetensors file as bytes and shapes. */
export function readSafetensors(url: URL | string) {
  const bytes = Deno.readFileSync(url);
  const headerBytes = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const header: Record<string, { dtype: string; shape: number[]; data_offsets: [number, number] }> =
    JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + headerBytes)));
  const tensors = new Map<string, { dtype: string; shape: number[]; data: Uint8Array }>();
  for (const [name, { dtype, shape, data_offsets }] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    const [start, end] = data_offsets.map((at) => at + 8 + headerBytes);
    tensors.set(name, { dtype, shape, data: bytes.slice(start, end) });
  }
  return tensors;
}

/** Bytes of Base64 text. */
export function fromBase64(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

/** The path of a golden file or folder. */
export function fromGolden(path: string): string {
  return new URL(path, GOLDEN).pathname;
}

/** A golden picture file's bytes. */
export function goldenImage(name: string): Uint8Array {
  return Deno.readFileSync(new URL(`images/${name}`, GOLDEN));
}

/** Writes a file in the schema of The Cauldron: one picture and its turns per row. */
export function writeCauldron(
  path: string,
  rows: { image: Uint8Array | null; turns: [string, string, string?][] }[],
  rowGroupSize = 1000,
): void {
  const images = rows.map(({ image }) => [{ bytes: image, path: null }]);
  const texts = rows.map(({ turns }) =>
    turns.map(([user, assistant, source = "test"]) => ({ user, assistant, source }))
  );
  const buffer = parquetWriteBuffer({
    rowGroupSize,
    schema: [
      { name: "root", num_children: 2 },
      { name: "images", repetition_type: "OPTIONAL", num_children: 1, converted_type: "LIST" },
      { name: "list", repetition_type: "REPEATED", num_children: 1 },
      { name: "element", repetition_type: "OPTIONAL", num_children: 2 },
      { name: "bytes", type: "BYTE_ARRAY", repetition_type: "OPTIONAL" },
      { name: "path", type: "BYTE_ARRAY", repetition_type: "OPTIONAL", converted_type: "UTF8" },
      { name: "texts", repetition_type: "OPTIONAL", num_children: 1, converted_type: "LIST" },
      { name: "list", repetition_type: "REPEATED", num_children: 1 },
      { name: "element", repetition_type: "OPTIONAL", num_children: 3 },
      { name: "user", type: "BYTE_ARRAY", repetition_type: "OPTIONAL", converted_type: "UTF8" },
      {
        name: "assistant",
        type: "BYTE_ARRAY",
        repetition_type: "OPTIONAL",
        converted_type: "UTF8",
      },
      { name: "source", type: "BYTE_ARRAY", repetition_type: "OPTIONAL", converted_type: "UTF8" },
    ],
    columnData: [{ name: "images", data: images }, { name: "texts", data: texts }],
  });
  Deno.writeFileSync(path, new Uint8Array(buffer));
}

/** Writes a Parquet file of flat columns. */
export function writeColumns(path: string, columnData: ColumnSource[]): void {
  Deno.writeFileSync(path, new Uint8Array(parquetWriteBuffer({ columnData })));
}

/** Makes a folder for a test, and removes it afterwards. */
export async function inTemporaryFolder(test: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    await test(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** Bytes as a file, called "in memory"; parts beyond the end are left out, as a file's are. */
export function memoryFile(bytes: Uint8Array): DataFile {
  const copy = new Uint8Array(bytes).buffer;
  const { byteLength } = copy;
  const slice = (start: number, end = byteLength) => Promise.resolve(copy.slice(start, end));
  return { name: "in memory", open: () => Promise.resolve({ byteLength, slice }) };
}

/** Bytes one after the other: lists of them, text as Latin-1, and numbers as 3 bytes, lowest first. */
export function bytesOf(...parts: (ArrayLike<number> | string | number)[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => {
    if (typeof part === "number") return [part & 255, (part >> 8) & 255, part >> 16];
    return typeof part === "string" ? Array.from(part, (c) => c.charCodeAt(0)) : Array.from(part);
  }));
}

/** Files of one frame each as one WebP animation, every frame of `width` x `height` at (4, 2). */
export function animateWebp(
  stills: readonly Uint8Array[],
  frame: { width: number; height: number },
  canvas: { width: number; height: number },
): Uint8Array {
  const chunk = (type: string, content: Uint8Array) => {
    const padding = content.length % 2 === 0 ? [] : [0];
    return bytesOf(type, content.length, [0], content, padding);
  };
  const frames = stills.map((still) => {
    const chunks = still.slice(still[15] === 0x58 ? 30 : 12); // behind "VP8X", if there is one
    const header = bytesOf(2, 1, frame.width - 1, frame.height - 1, 100, [0]); // halves of (4, 2)
    return chunk("ANMF", bytesOf(header, chunks));
  });
  const header = chunk("VP8X", bytesOf([2, 0, 0, 0], canvas.width - 1, canvas.height - 1));
  const loop = chunk("ANIM", bytesOf([1, 2, 3, 255, 0, 0]));
  return chunk("RIFF", bytesOf("WEBP", header, loop, ...frames));
}
