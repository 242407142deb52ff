/**
 * Repositories of the Hugging Face Hub: downloads into the cache that Python shares, and files read
 * in parts without downloading.
 *
 * Everything that is fetched comes through here; datasets, checkpoints and tokenizers are read from
 * the folder that download() returns, or through open(). The rooms below are in hub/.
 *
 * Source: the Hub's documented API; huggingface_hub for the cache and the environment variables.
 */
import { RepositoryCache } from "./hub/cache.ts";
import { HubClient } from "./hub/client.ts";
import { type HubOptions, type HubSettings, hubSettings } from "./hub/environment.ts";
import { describe, HubError, onDisk, type Subject, TransientError } from "./hub/errors.ts";
import { commitFiles, isComplete, revisionInfo } from "./hub/listing.ts";
import { HubRepository, type Known, type Repository } from "./hub/repository.ts";

export { HubError } from "./hub/errors.ts";
export type { HubOptions } from "./hub/environment.ts";
export type { DownloadProgress } from "./hub/progress.ts";
export type { RangeReader } from "./hub/range_reader.ts";
export type { Repository, RepositoryFile } from "./hub/repository.ts";

/** Names a repository at a revision. */
export interface RepositoryName {
  kind: "model" | "dataset";
  /** "owner/name". */
  name: string;
  /** A branch, a tag or a commit; "main" without. */
  revision?: string;
}

const NAME = /^[A-Za-z0-9_][\w.-]*\/[A-Za-z0-9_][\w.-]*$/;

function isName(name: string): boolean {
  return NAME.test(name) && name.length <= 96 && !/\.\.|--|[.-](\/|$)|\.git$/.test(name);
}

/**
 * Understands "owner/name" and "owner/name@revision".
 *
 * @returns undefined for anything else
 */
export function parseRepositoryName(text: string): { name: string; revision?: string } | undefined {
  const at = text.indexOf("@");
  const name = at < 0 ? text : text.slice(0, at);
  if (!isName(name) || at === text.length - 1) return undefined;
  return at < 0 ? { name } : { name, revision: text.slice(at + 1) };
}

/** With little patience: what is in the cache will do. */
function hurried({ retry }: HubSettings) {
  return { ...retry, attempts: 2, stallMilliseconds: Math.min(retry.stallMilliseconds, 10_000) };
}

/** What the Hub says or, if it does not answer, what an earlier download left. */
async function askHub(
  client: HubClient,
  cache: RepositoryCache,
  subject: Subject,
): Promise<Known> {
  const cached = await fromCache(cache, subject);
  try {
    const limits = cached ? hurried(client.settings) : client.settings.retry;
    const info = await revisionInfo(client, subject, limits);
    const { commit, card } = info;
    const remembered = await cache.readTree(commit);
    if (remembered && isComplete(remembered, info)) {
      return { commit, card, files: remembered, isReachable: true, isWorthKeeping: false };
    }
    const files = await commitFiles(client, subject, info);
    return { commit, card, files, isReachable: true, isWorthKeeping: isComplete(files, info) };
  } catch (error) {
    if (!cached || !(error instanceof TransientError)) throw error;
    return { ...cached, cause: error };
  }
}

/** What an earlier download left, if it left anything. */
async function fromCache(
  cache: RepositoryCache,
  { revision }: Subject,
): Promise<Known | undefined> {
  const commit = await cache.commitOf(revision);
  if (commit === undefined) return undefined;
  const present = await cache.filesOf(commit);
  if (present.length === 0) return undefined;
  const files = await cache.readTree(commit) ?? present;
  return { commit, card: {}, files, isReachable: false, isWorthKeeping: false };
}

/**
 * Finds a repository and what it holds: at the Hub or, where that cannot be reached or HF_HUB_OFFLINE
 * is set, in the cache.
 *
 * @throws {HubError} when it does not exist, is gated, the token is refused, or there is neither a
 * network nor a copy in the cache
 */
export async function openRepository(
  { kind, name, revision = "main" }: RepositoryName,
  options: HubOptions = {},
): Promise<Repository> {
  if (!isName(name)) {
    throw new HubError(
      `Cannot open ${kind} "${name}": found no name of a repository, expected "owner/name"`,
    );
  }
  const settings = await hubSettings(options);
  const subject: Subject = { kind, name, revision };
  const cache = new RepositoryCache(settings.cacheFolder, kind, name);
  const client = new HubClient(settings);
  const known = await onDisk(
    cache.folder,
    () => settings.isOffline ? fromCache(cache, subject) : askHub(client, cache, subject),
  );
  if (known) return new HubRepository({ client, cache, subject, known });
  throw new HubError(
    `Cannot open ${describe(subject)} without a network: found no download of revision ` +
      `"${revision}" in "${settings.cacheFolder}", expected one. Unset HF_HUB_OFFLINE to download`,
  );
}
