/**
 * Files of a checkpoint as they get to the disk: whole or not at all, with a checksum by which a flipped bit is noticed later.
 *
 * Below safetensors.ts and everything that saves. Source: CRC-32 of zip and gzip.
 */
import { crc32 } from "node:zlib";
import { CheckpointError } from "./safetensors_header.ts";

export { CheckpointError };

/** The CRC-32 of files by their names in a folder, as eight hexadecimal digits. */
export type Checksums = Readonly<Record<string, string>>;

/** Takes bytes of a file, one part after the other. */
export type Put = (bytes: Uint8Array) => Promise<void>;

/** As Checksums has it. */
function digits(sum: number): string {
  return sum.toString(16).padStart(8, "0");
}

/** The checksum of a text. */
export function checksumOf(text: string): string {
  return digits(crc32(text));
}

/**
 * Writes a file through `write` under another name, and gives it the name `path` when it is whole and on the disk.
 *
 * @returns the checksum of what was written
 */
export async function writeBeside(
  path: string,
  write: (put: Put) => Promise<void>,
): Promise<string> {
  const beside = `${path}.partial`;
  const file = await Deno.open(beside, { write: true, create: true, truncate: true });
  let sum = 0;
  try {
    await write(async (bytes) => {
      sum = crc32(bytes, sum);
      // One write may take only a part.
      for (let done = 0; done < bytes.length;) done += await file.write(bytes.subarray(done));
    });
    await file.sync();
  } catch (error) {
    file.close();
    await Deno.remove(beside);
    throw error;
  }
  file.close();
  await Deno.rename(beside, path);
  return digits(sum);
}

/** Bytes of a file that are read at once. */
const CHUNK_BYTES = 1 << 20;

/**
 * Checks that the files in a folder are those that were saved, to the bit.
 *
 * @throws {CheckpointError} where one is missing or has other bytes
 */
export function requireIntact(
  folder: string,
  checksums: Checksums,
  remedy: string =
    "It was damaged or changed since; take another checkpoint, or a copy of this one.",
): void {
  for (const [name, expected] of Object.entries(checksums)) {
    const path = `${folder}/${name}`;
    const found = checksumOfFile(path);
    if (found === expected) continue;
    throw new CheckpointError(
      path,
      found === undefined ? "there is no such file" : `the checksum of its bytes is ${found}`,
      `${expected}, as it was saved`,
      remedy,
    );
  }
}

/** Undefined where there is no such file. */
function checksumOfFile(path: string): string | undefined {
  try {
    using file = Deno.openSync(path);
    const chunk = new Uint8Array(CHUNK_BYTES);
    let sum = 0;
    for (let count = file.readSync(chunk); count !== null; count = file.readSync(chunk)) {
      sum = crc32(chunk.subarray(0, count), sum);
    }
    return digits(sum);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
