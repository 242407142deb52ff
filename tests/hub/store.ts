/**
 * What the local stand-in for the Hugging Face Hub holds: repositories, their commits and files, in memory.
 *
 * Below server.ts and its routes.
 */

export type RepositoryKind = "model" | "dataset";

/** One revision: all files by path. */
export interface StoredCommit {
  /** 40 hexadecimal digits. */
  readonly oid: string;
  readonly title: string;
  readonly files: ReadonlyMap<string, Uint8Array<ArrayBuffer>>;
}

/** One repository. */
export interface StoredRepository {
  readonly kind: RepositoryKind;
  /** "owner/name". */
  readonly name: string;
  readonly isPrivate: boolean;
  /** Whether its files ask for accepted terms. */
  readonly isGated: boolean;
  /** The metadata block of its README.md, as the Hub's info call gives it. */
  readonly card: Readonly<Record<string, unknown>>;
  /** The oldest first; at least one. */
  readonly commits: StoredCommit[];
  /** Branches and tags, to the oid of a commit. */
  readonly refs: Map<string, string>;
}

/** What addRepository() takes. */
export interface NewRepository {
  kind: RepositoryKind;
  name: string;
  isPrivate?: boolean;
  isGated?: boolean;
  card?: Record<string, unknown>;
  files?: Record<string, string | Uint8Array<ArrayBuffer>>;
}

let commitNumber = 0;

/** All repositories, and who may read and write them. */
export class HubStore {
  /** The only token that is known; it may do everything. */
  readonly token = "hf_testtokentesttokentesttoken";
  readonly repositories = new Map<string, StoredRepository>();

  find(kind: RepositoryKind, name: string): StoredRepository | undefined {
    return this.repositories.get(`${kind} ${name}`);
  }

  addRepository(
    { kind, name, isPrivate = false, isGated = false, card = {}, files = {} }: NewRepository,
  ): StoredRepository {
    const repository = { kind, name, isPrivate, isGated, card, commits: [], refs: new Map() };
    this.repositories.set(`${kind} ${name}`, repository);
    this.commit(repository, "initial commit", files);
    return repository;
  }

  /** Adds a commit to "main": `files` over those of the last one; null removes a file. */
  commit(
    repository: StoredRepository,
    title: string,
    files: Record<string, string | Uint8Array<ArrayBuffer> | null>,
  ): StoredCommit {
    const all = new Map(repository.commits.at(-1)?.files);
    for (const [path, content] of Object.entries(files)) {
      if (content === null) all.delete(path);
      else all.set(path, typeof content === "string" ? new TextEncoder().encode(content) : content);
    }
    const oid = (++commitNumber).toString(16).padStart(40, "c0ffee");
    const commit = { oid, title, files: all };
    repository.commits.push(commit);
    repository.refs.set("main", oid);
    return commit;
  }

  /** The commit that a branch, a tag or an oid names. */
  resolve(repository: StoredRepository, revision: string): StoredCommit | undefined {
    const oid = repository.refs.get(revision) ?? revision;
    return repository.commits.find((commit) => commit.oid === oid);
  }
}
