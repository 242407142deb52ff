/**
 * Pictures that a dataset names by paths: read only from the dataset's own folder, whatever the
 * dataset says. Below record_dataset.ts. Ours.
 */
import { isAbsolute, resolve, sep } from "node:path";
import { PictureError } from "./record_fields.ts";

/** The largest picture file that is read, in bytes. */
const LARGEST_PICTURE = 2 ** 28;

function refuse(path: string, found: string, cause?: unknown): Error {
  return new PictureError(
    `Cannot read picture "${
      path.slice(0, 200)
    }": found ${found}, expected the path of a file in the ` +
      `dataset's folder, relative to it. Put the picture there and correct the path.`,
    { cause },
  );
}

function isInside(folder: string, path: string): boolean {
  return path.startsWith(folder.endsWith(sep) ? folder : folder + sep);
}

/** A path, also where it is written as "file:///path", as for Qwen's models. */
function plainPath(path: string): string {
  return path.replace(/^file:\/\/(\/(?=[a-z]:))?/i, "");
}

/** Whether a file is in a folder, or where the Hub's cache keeps the files that it links to. */
async function isOf(root: string, real: string): Promise<boolean> {
  const folder = await Deno.realPath(root);
  const [, cached] = /^(.*[/\\]datasets--[^/\\]+)[/\\]snapshots[/\\]/.exec(folder) ?? [];
  return isInside(folder, real) || cached !== undefined && isInside(cached + sep + "blobs", real);
}

/** The file that a path means, or undefined where there is none. */
async function find(path: string, root: string, folders: readonly string[]) {
  // As it is written, and as it is meant where it was written on Windows or macOS.
  const spellings = [
    path,
    path.replaceAll("\\", "/"),
    path.normalize("NFC"),
    path.normalize("NFD"),
  ];
  for (const name of new Set(spellings)) {
    const isWhole = isAbsolute(name) || /^[a-z]:[\\/]/i.test(name);
    for (const folder of folders) {
      const full = resolve(folder, name);
      if (!isWhole && !isInside(resolve(root), full)) throw refuse(path, `".." out of the folder`);
      const real = await Deno.realPath(full).catch(() => undefined);
      const isOutside = real === undefined || !await isOf(root, real);
      if (isWhole && isOutside) throw refuse(path, "an absolute path out of the folder");
      if (real === undefined) continue;
      if (isOutside) throw refuse(path, "a symbolic link out of the folder");
      return real;
    }
  }
}

/** The folders in a dataset's folder, read once. */
const subfolders = new Map<string, Promise<string[]>>();

async function foldersIn(root: string): Promise<string[]> {
  const entries = await Array.fromAsync(Deno.readDir(root));
  return entries.filter(({ isDirectory }) => isDirectory).map(({ name }) => name).sort();
}

/** The same path in one of those folders, where perhaps the file is that was meant. */
async function nearFile(path: string, root: string): Promise<string | undefined> {
  const folders = subfolders.get(root) ?? foldersIn(root);
  subfolders.set(root, folders);
  for (const folder of await folders) {
    const near = `${folder}/${path}`;
    if ((await Deno.stat(`${root}/${near}`).catch(() => undefined))?.isFile) return near;
  }
}

/**
 * Where a picture file seems to be, fast: to tell pictures apart, of many. What leads out of the
 * folder is not refused, so that nothing of it may be shown.
 *
 * @returns its path and size, or undefined where there is no such file
 */
export function guessInFolder(
  path: string,
  root: string,
  beside: string,
): { readonly path: string; readonly bytes: number } | undefined {
  if (path.includes("\0")) return undefined;
  const plain = plainPath(path).replaceAll("\\", "/");
  for (const folder of [resolve(beside, ".."), root]) {
    const full = resolve(folder, plain);
    if (!isInside(resolve(root), full)) continue;
    try {
      const { isFile, size } = Deno.statSync(full);
      if (isFile) return { path: full, bytes: size };
    } catch (error) {
      if (error instanceof Deno.errors.PermissionDenied) throw error;
    }
  }
}

/**
 * Reads a picture file in a folder.
 *
 * @param written what the dataset says; "/" and "\" are the same
 * @param root the dataset's folder
 * @param beside the file that says it: the path is relative to its folder or else to `root`
 * @throws {PictureError} when the path leads out of the folder, by a symbolic link too, to no file,
 * or to one of more than 256 MiB
 */
export async function readInFolder(
  written: string,
  root: string,
  beside: string,
): Promise<Uint8Array> {
  const path = plainPath(written);
  if (/^[a-z][a-z0-9+.-]+:\/\//i.test(path)) throw refuse(path, "a URL, which is never fetched");
  if (path.includes("\0")) throw refuse(path, "a NUL character");
  if (/^[./\\]*$/.test(path)) throw refuse(path, "no name");
  const real = await find(path, root, [resolve(beside, ".."), root]);
  if (real === undefined) {
    const near = await nearFile(path, root);
    throw refuse(path, near === undefined ? "no such file" : `no such file, but "${near}"`);
  }
  const { isFile, size } = await Deno.stat(real); // a pipe would never end
  if (!isFile) throw refuse(path, "something that is no file");
  if (size <= LARGEST_PICTURE) return await Deno.readFile(real);
  throw refuse(path, `${size} bytes, which are more than ${LARGEST_PICTURE}`);
}
