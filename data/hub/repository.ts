/**
 * One repository at one commit: what it holds, and how to get at it.
 *
 * hub.ts opens one; it is above download.ts and range_reader.ts.
 */
import type { RepositoryCache } from "./cache.ts";
import type { HubClient } from "./client.ts";
import { downloadFiles } from "./download.ts";
import { describe, HubError, isReadOnly, onDisk, type Subject } from "./errors.ts";
import { DiskReader, HubReader, type RangeReader } from "./range_reader.ts";
import type { RemoteFile } from "./remote_file.ts";

/** A file of a repository. */
export interface RepositoryFile {
  /** "/" between folders. */
  readonly path: string;
  /** Bytes. */
  readonly size: number;
}

/** A repository at one commit. */
export interface Repository {
  readonly kind: "model" | "dataset";
  /** "owner/name". */
  readonly name: string;
  /** 40 hexadecimal digits. */
  readonly commit: string;
  /** All files; without a network those that are known. */
  readonly files: readonly RepositoryFile[];
  /** The metadata block of README.md; empty without a network. */
  readonly card: Readonly<Record<string, unknown>>;
  /**
   * Brings files into the cache, those that are not there yet.
   *
   * @returns the snapshot's folder, in which the files have their paths
   * @throws {HubError} when one does not exist, cannot be had, or finds no room
   */
  download(paths: readonly string[]): Promise<string>;
  /**
   * Opens a file for reading in parts; nothing is stored.
   *
   * @throws {HubError} when it does not exist, or without a network is not in the cache
   */
  open(path: string): Promise<RangeReader>;
}

/** What is known of a repository. */
export interface Known {
  readonly commit: string;
  readonly card: Readonly<Record<string, unknown>>;
  readonly files: readonly (RepositoryFile | RemoteFile)[];
  /** Whether the Hub answered; otherwise what is in the cache is all there is. */
  readonly isReachable: boolean;
  /** Whether the listing is new, and known to be whole. */
  readonly isWorthKeeping: boolean;
  /** Why it did not answer. */
  readonly cause?: unknown;
}

/** What a HubRepository works with. */
export interface RepositoryParts {
  readonly client: HubClient;
  readonly cache: RepositoryCache;
  readonly subject: Subject;
  readonly known: Known;
}

/** A repository as {@linkcode openRepository} found it. */
export class HubRepository implements Repository {
  readonly #client: HubClient;
  readonly #cache: RepositoryCache;
  readonly #subject: Subject;
  readonly #known: Known;

  constructor({ client, cache, subject, known }: RepositoryParts) {
    this.#client = client;
    this.#cache = cache;
    this.#subject = subject;
    this.#known = known;
  }

  get kind() {
    return this.#subject.kind;
  }

  get name() {
    return this.#subject.name;
  }

  get commit() {
    return this.#known.commit;
  }

  get files(): readonly RepositoryFile[] {
    return this.#known.files;
  }

  get card() {
    return this.#known.card;
  }

  #find(path: string): RepositoryFile | RemoteFile {
    const file = this.files.find((file) => file.path === path);
    if (file) return file;
    if (!this.#known.isReachable) throw this.#notCached([path]);
    const names = this.files.slice(0, 20).map(({ path }) => `"${path}"`).join(", ");
    throw new HubError(
      `Cannot read file "${path}" of ${describe(this.#subject)}: found no such file at revision ` +
        `"${this.#subject.revision}", expected one of ${names}${
          this.files.length > 20 ? ", …" : ""
        }`,
      { status: 404 },
    );
  }

  #notCached(paths: readonly string[]): HubError {
    const { cause } = this.#known;
    const names = paths.slice(0, 5).map((path) => `"${path}"`).join(", ");
    const reason = cause instanceof Error
      ? ` The Hub did not answer: ${cause.message}`
      : " Unset HF_HUB_OFFLINE to download";
    return new HubError(
      `Cannot read ${names}${paths.length > 5 ? ", …" : ""} of ${
        describe(this.#subject)
      } without ` +
        `a network: found no such file in "${this.#cache.folder}", expected it to be downloaded ` +
        `before.${reason}`,
      { cause },
    );
  }

  download(paths: readonly string[]): Promise<string> {
    return onDisk(this.#cache.folder, () => this.#download(paths));
  }

  async #download(paths: readonly string[]): Promise<string> {
    const missing: RemoteFile[] = [], unknown: string[] = [];
    for (const path of new Set(paths)) {
      const file = this.#find(path);
      if (await this.#cache.has(this.commit, file)) continue;
      if (this.#known.isReachable && "blobId" in file) missing.push(file);
      else unknown.push(path);
    }
    if (unknown.length > 0) throw this.#notCached(unknown);
    await this.#fetch(missing);
    if (this.#known.isReachable) await this.#remember(missing.length > 0);
    return this.#cache.snapshot(this.commit);
  }

  async #fetch(files: readonly RemoteFile[]): Promise<void> {
    const { commit } = this;
    try {
      await downloadFiles({
        client: this.#client,
        cache: this.#cache,
        subject: this.#subject,
        commit,
        files,
      });
    } catch (error) {
      // Its hashes and sizes may be what is wrong; where nothing may be removed, what went wrong first is told.
      await this.#cache.forgetTree(commit).catch(() => {});
      throw error;
    }
  }

  /** Notes what the revision is, for when there is no network. */
  async #remember(isWritable: boolean): Promise<void> {
    try {
      await this.#cache.saveRef(this.#subject.revision, this.commit);
      if (!this.#known.isWorthKeeping) return;
      await this.#cache.saveTree(this.commit, this.#known.files.filter((file) => "blobId" in file));
    } catch (error) {
      // A cache folder that may only be read serves what it has.
      if (isWritable || !isReadOnly(error)) throw error;
    }
  }

  async open(path: string): Promise<RangeReader> {
    const file = this.#find(path);
    const { size } = file;
    if (await onDisk(this.#cache.folder, () => this.#cache.has(this.commit, file))) {
      return new DiskReader(`${this.#cache.snapshot(this.commit)}/${path}`, size);
    }
    if (!this.#known.isReachable) throw this.#notCached([path]);
    const subject = { ...this.#subject, path };
    const url = this.#client.fileUrl(subject, this.commit);
    const hash = "sha256" in file ? file.sha256 : undefined;
    return new HubReader(this.#client, subject, { url, size, hash });
  }
}
