/**
 * What a repository is at a revision: its commit, its card, its files.
 *
 * Above client.ts; hub.ts calls it. Source: the Hub's API as @huggingface/hub and Python's huggingface_hub ask it.
 */
import type { HubClient } from "./client.ts";
import { describe, HubError, type Subject, TransientError } from "./errors.ts";
import { isCommit, type RemoteFile, remoteFile } from "./remote_file.ts";
import { Retries, type RetryLimits } from "./retry.ts";

/** A listing that goes on after so many pages or files goes on for ever. */
const MOST_PAGES = 500;
const MOST_FILES = 1_000_000;
/** Names that an error shows. */
const MOST_NAMES = 5;

/** A revision as the Hub knows it. */
export interface RevisionInfo {
  readonly commit: string;
  /** The metadata block of README.md. */
  readonly card: Readonly<Record<string, unknown>>;
  /** Files that the listing must have; undefined where the Hub does not say. */
  readonly paths: readonly string[] | undefined;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** What is no answer of a Hub. */
function misshapen(subject: Subject, { settings }: HubClient, found: string): HubError {
  return new HubError(
    `Cannot read ${
      describe(subject)
    }: found ${found} in the answer of ${settings.endpoint}. Is HF_ENDPOINT a Hub?`,
  );
}

function apiUrl({ settings }: HubClient, { kind, name }: Subject): string {
  return `${settings.endpoint}/api/${kind}s/${name}`;
}

/**
 * Asks for the commit, the card and the files' names of a revision.
 *
 * @throws {HubError} when there is none, or none for this user
 */
export async function revisionInfo(
  client: HubClient,
  subject: Subject,
  limits?: RetryLimits,
): Promise<RevisionInfo> {
  const query = "expand=sha&expand=cardData&expand=siblings";
  const revision = encodeURIComponent(subject.revision);
  const url = `${apiUrl(client, subject)}/revision/${revision}?${query}`;
  const { value } = await client.json(url, subject, limits);
  const { sha, cardData, siblings }: Record<string, unknown> = isRecord(value) ? value : {};
  if (!isCommit(sha)) {
    throw misshapen(subject, client, "no commit, expected 40 hexadecimal digits as its name,");
  }
  const names = Array.isArray(siblings)
    ? siblings.map((one) => isRecord(one) ? one["rfilename"] : undefined)
    : [undefined];
  const paths = names.filter((name) => typeof name === "string");
  return {
    commit: sha,
    card: isRecord(cardData) ? cardData : {},
    paths: paths.length === names.length ? paths : undefined,
  };
}

/** Whether a listing has all files that it must have; a page of it may have been lost. */
export function isComplete(
  files: readonly RemoteFile[],
  { paths }: Pick<RevisionInfo, "paths">,
): boolean {
  return paths !== undefined && lacking(files, paths).length === 0;
}

function lacking(files: readonly RemoteFile[], paths: readonly string[]): string[] {
  const listed = new Set(files.map(({ path }) => path));
  return paths.filter((path) => !listed.has(path));
}

/**
 * Lists all files of a commit.
 *
 * @throws {HubError} when a path leads out of the repository, or pages are lost again and again
 */
export async function commitFiles(
  client: HubClient,
  subject: Subject,
  { commit, paths = [] }: RevisionInfo,
): Promise<RemoteFile[]> {
  const retries = new Retries(client.settings.retry);
  while (true) {
    const files = await list(client, subject, commit);
    const lost = lacking(files, paths);
    if (lost.length === 0) return files;
    const names = lost.slice(0, MOST_NAMES).map((path) => JSON.stringify(path)).join(", ");
    await retries.failed(
      new TransientError(
        `Cannot read ${
          describe(subject)
        }: found a listing of ${files.length} files without ${lost.length} that are ` +
          `there (${names}${
            lost.length > MOST_NAMES ? ", …" : ""
          }), expected all of them. Try again later`,
      ),
    );
  }
}

async function list(client: HubClient, subject: Subject, commit: string): Promise<RemoteFile[]> {
  const files = new Map<string, RemoteFile>();
  const pages = new Set<string>();
  let url: string | undefined = `${apiUrl(client, subject)}/tree/${commit}?recursive=true`;
  while (url !== undefined) {
    if (pages.has(url) || pages.size >= MOST_PAGES || files.size > MOST_FILES) {
      throw misshapen(subject, client, "a listing without an end, expected a last page,");
    }
    pages.add(url);
    const { value, next }: { value: unknown; next: string | undefined } = await client.json(
      url,
      subject,
    );
    if (!Array.isArray(value)) {
      throw misshapen(subject, client, "no list of files, expected one,");
    }
    for (const entry of value) {
      const { type, path, size, oid, lfs, xetHash } = isRecord(entry) ? entry : {};
      if (type === "directory") continue;
      const large = isRecord(lfs) ? { size: lfs["size"], sha256: lfs["oid"] } : { size };
      const file = remoteFile({ path, blobId: oid, xetHash, ...large });
      files.set(file.path, file);
    }
    url = next;
  }
  return [...files.values()];
}
