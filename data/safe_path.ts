/**
 * Pictures that a dataset names by paths: read only from the dataset's own folder, whatever the
 * dataset says. Below text_records.ts. Ours.
 */

/** The largest picture file that is read, in bytes. */
const LARGEST_PICTURE = 2 ** 28;

function refuse(path: string, found: string, cause?: unknown): Error {
  return new Error(
    `Cannot read picture "${
      path.slice(0, 200)
    }": found ${found}, expected the path of a file in the ` +
      `dataset's folder, relative to it. Put the picture there and correct the path.`,
    { cause },
  );
}

/**
 * The path's parts.
 *
 * @throws {Error} when it is a URL, absolute, or leads upward
 */
function partsOf(path: string): string[] {
  if (/^[a-z][a-z0-9+.-]+:/i.test(path)) throw refuse(path, "a URL, which is never fetched");
  const normalized = path.replaceAll("\\", "/");
  if (/^(\/|[a-z]:)/i.test(normalized)) throw refuse(path, "an absolute path");
  if (normalized.includes("\0")) throw refuse(path, "a NUL character");
  const parts = normalized.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.includes("..")) throw refuse(path, `".."`);
  if (parts.length === 0) throw refuse(path, "no name");
  return parts;
}

/**
 * Reads a picture file in a folder.
 *
 * @param folder the dataset's
 * @param path what the dataset says, relative to the folder; "/" and "\" are the same
 * @throws {Error} when the path leads out of the folder, by a symbolic link too, or to no file
 * @throws {RangeError} when the file is larger than 256 MiB
 */
export async function readInFolder(folder: string, path: string): Promise<Uint8Array> {
  const joined = [folder, ...partsOf(path)].join("/");
  let real: string;
  try {
    real = await Deno.realPath(joined);
  } catch (cause) {
    throw refuse(path, "no such file", cause);
  }
  const root = (await Deno.realPath(folder)).replace(/[/\\]$/, "");
  if (!/[/\\]/.test(real.charAt(root.length)) || !real.startsWith(root)) {
    throw refuse(path, "a symbolic link out of the folder");
  }
  const { isFile, size } = await Deno.stat(real); // a pipe would never end
  if (!isFile) throw refuse(path, "something that is no file");
  if (size > LARGEST_PICTURE) {
    throw new RangeError(
      `Cannot read picture "${path}": found ${size} bytes, expected at most ${LARGEST_PICTURE}`,
    );
  }
  return await Deno.readFile(real);
}
