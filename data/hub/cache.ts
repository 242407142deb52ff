/**
 * The cache folder that Python's huggingface_hub shares with us, for one repository:
 *
 *     models--owner--name/blobs/ETAG                   contents; ETAG.incomplete while they come
 *     models--owner--name/refs/main                    the commit
 *     models--owner--name/snapshots/COMMIT/a/b.json    a symlink, ../../../../blobs/ETAG
 *     models--owner--name/trees/COMMIT.json            what the commit holds
 *     .locks/models--owner--name/ETAG.lock             flock, held during a download
 *
 * Source: huggingface_hub, file_download.py, _tree_cache.py.
 */
import { HubError } from "./errors.ts";
import { etagOf, isCommit, isInside, type RemoteFile, remoteFile } from "./remote_file.ts";

const TREE_VERSION = 1;
const LOCK_POLL_MILLISECONDS = 100;

function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/"));
}

/** Size of a file, behind symlinks; undefined where there is none. */
export async function sizeOf(path: string): Promise<number | undefined> {
  try {
    const { isFile, size } = await Deno.stat(path);
    return isFile ? size : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) {
      return undefined;
    }
    throw error;
  }
}

async function readTextIfThere(path: string): Promise<string | undefined> {
  return await sizeOf(path) === undefined ? undefined : await Deno.readTextFile(path);
}

/** Writes a small file so that nobody sees half of it. */
async function writeWhole(path: string, text: string): Promise<void> {
  await Deno.mkdir(folderOf(path), { recursive: true });
  const temporary = `${path}.${crypto.randomUUID().slice(0, 8)}.tmp`;
  try {
    await Deno.writeTextFile(temporary, text);
    await Deno.rename(temporary, path);
  } catch (error) {
    await removeIfThere(temporary);
    throw error;
  }
}

/** Removes a file that may be absent. */
export async function removeIfThere(path: string): Promise<void> {
  await Deno.remove(path).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
}

/** One repository's part of the cache folder. */
export class RepositoryCache {
  readonly folder: string;
  readonly #locks: string;

  /** @param name "owner/name" */
  constructor(cacheFolder: string, kind: "model" | "dataset", name: string) {
    const own = `${kind}s--${name.replaceAll("/", "--")}`;
    this.folder = `${cacheFolder}/${own}`;
    this.#locks = `${cacheFolder}/.locks/${own}`;
  }

  /** The folder of a commit's files. */
  snapshot(commit: string): string {
    return `${this.folder}/snapshots/${commit}`;
  }

  /** Where a content is kept. */
  blob(etag: string): string {
    return `${this.folder}/blobs/${etag}`;
  }

  #ref(revision: string): string {
    if (isInside(revision)) return `${this.folder}/refs/${revision}`;
    throw new HubError(
      `Cannot use revision "${revision}": found no name of a revision, expected a branch, a tag ` +
        `or a commit`,
    );
  }

  /** The commit that a revision named when it was last downloaded. */
  async commitOf(revision: string): Promise<string | undefined> {
    if (isCommit(revision)) return revision;
    const commit = (await readTextIfThere(this.#ref(revision)))?.trim();
    return isCommit(commit) ? commit : undefined;
  }

  /** Remembers which commit a revision names. */
  async saveRef(revision: string, commit: string): Promise<void> {
    if (await this.commitOf(revision) !== commit) await writeWhole(this.#ref(revision), commit);
  }

  #tree(commit: string): string {
    return `${this.folder}/trees/${commit}.json`;
  }

  /** A commit's listing, if it was saved by us or by Python. */
  async readTree(commit: string): Promise<RemoteFile[] | undefined> {
    const text = await readTextIfThere(this.#tree(commit));
    if (text === undefined) return undefined;
    try {
      const { format_version, files } = JSON.parse(text);
      if (format_version !== TREE_VERSION) return undefined;
      return Object.entries<Record<string, unknown>>(files).map(([path, file]) =>
        remoteFile({
          path,
          size: file.lfs_size ?? file.size,
          blobId: file.blob_id,
          sha256: file.lfs_sha256,
          xetHash: file.xet_hash,
        })
      );
    } catch {
      return undefined; // a damaged listing is asked for again
    }
  }

  /** Remembers a commit's listing, in the form in which Python does. */
  async saveTree(commit: string, files: readonly RemoteFile[]): Promise<void> {
    const entries = files.map(({ path, size, blobId, sha256, xetHash }) => [path, {
      size,
      blob_id: blobId,
      ...(sha256 === undefined ? {} : { lfs_sha256: sha256, lfs_size: size }),
      ...(xetHash === undefined ? {} : { xet_hash: xetHash }),
    }]);
    const tree = { format_version: TREE_VERSION, files: Object.fromEntries(entries) };
    await writeWhole(this.#tree(commit), JSON.stringify(tree));
  }

  /** Has a commit's listing asked for anew the next time. */
  async forgetTree(commit: string): Promise<void> {
    await removeIfThere(this.#tree(commit));
  }

  /** The files of a snapshot on disk, whoever put them there. */
  async filesOf(commit: string, below = ""): Promise<{ path: string; size: number }[]> {
    const found: { path: string; size: number }[] = [];
    try {
      for await (const { name, isDirectory } of Deno.readDir(this.snapshot(commit) + below)) {
        const path = `${below}/${name}`;
        if (isDirectory) found.push(...await this.filesOf(commit, path));
        else {
          const size = await sizeOf(this.snapshot(commit) + path);
          if (size !== undefined) found.push({ path: path.slice(1), size });
        }
      }
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    return found.sort((a, b) => a.path < b.path ? -1 : 1);
  }

  /** Whether a file of a commit is there, whole as far as its size says. */
  async has(commit: string, { path, size }: { path: string; size: number }): Promise<boolean> {
    return await sizeOf(`${this.snapshot(commit)}/${path}`) === size;
  }

  /** Waits until no other process downloads this content; closing what comes back lets go. */
  async lock(etag: string, signal: AbortSignal): Promise<Disposable> {
    await Deno.mkdir(this.#locks, { recursive: true });
    const file = await Deno.open(`${this.#locks}/${etag}.lock`, {
      read: true,
      write: true,
      create: true,
      mode: 0o664,
    });
    try {
      while (!await file.tryLock(true)) {
        signal.throwIfAborted();
        await new Promise((resolve) => setTimeout(resolve, LOCK_POLL_MILLISECONDS));
      }
    } catch (error) {
      file.close();
      throw error;
    }
    return file;
  }

  /**
   * Makes a content appear in a snapshot: as a symlink or, where those are not allowed, as a copy;
   * a content that has just come is moved there.
   */
  async place(commit: string, file: RemoteFile, isNew: boolean): Promise<void> {
    const blob = this.blob(etagOf(file));
    const path = `${this.snapshot(commit)}/${file.path}`;
    await Deno.mkdir(folderOf(path), { recursive: true });
    await removeIfThere(path);
    const upward = "../".repeat(file.path.split("/").length + 1);
    try {
      await Deno.symlink(`${upward}blobs/${etagOf(file)}`, path);
    } catch (error) {
      if (!isForbidden(error)) throw error;
      if (isNew) await Deno.rename(blob, path);
      else await copyWhole(blob, path);
    }
  }
}

/** Windows wants a privilege for symlinks, some disks have none, and Deno wants full access. */
function isForbidden(error: unknown): boolean {
  return error instanceof Deno.errors.NotCapable || error instanceof Deno.errors.NotSupported ||
    error instanceof Deno.errors.PermissionDenied;
}

async function copyWhole(from: string, to: string): Promise<void> {
  const temporary = `${to}.${crypto.randomUUID().slice(0, 8)}.incomplete`;
  try {
    await Deno.copyFile(from, temporary);
    await Deno.rename(temporary, to);
  } catch (error) {
    await removeIfThere(temporary);
    throw error;
  }
}
